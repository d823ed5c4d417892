using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Core.Results.Series;
using HeadPatching.Http.Answers;
using HeadPatching.Http.Following;
using HeadPatching.Http.OpenApi;
using HeadPatching.Http.Problems;
using HeadPatching.Http.Requests;
using HeadPatching.Http.Series;
using HeadPatching.Reports.Circuits;
using HeadPatching.Reports.Comparing;
using HeadPatching.Reports.Series;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using SweepList = HeadPatching.Http.Answers.SweepList;

namespace HeadPatching.Http;

/// <summary>The routes. What each may answer stands beside it; the OpenAPI document is made of that.</summary>
public static class SweepApi
{
    private const string Json = "application/json";
    private const string ProblemJson = "application/problem+json";
    private const string NotModified = "It is what the caller has (If-None-Match).";

    /// <summary>Adds the handlers and the OpenAPI document. The host adds its ISweepHost and IModelCatalog.</summary>
    public static IServiceCollection AddSweepApi(this IServiceCollection services)
    {
        services.TryAddSingleton(new RequestLimits());
        services.TryAddSingleton(CallbackHosts.None);
        services.AddSingleton<BodyBudget>();
        services.AddSingleton(provider => new SweepDigests(provider.GetRequiredService<ISweepHost>().Store));
        services.AddSingleton(provider => new WatchPlaces(
            provider.GetRequiredService<RequestLimits>(), provider.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping));
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<SweepHandlers>();
        services.AddSingleton<SeriesHandlers>();
        services.ConfigureHttpJsonOptions(options =>
        {
            options.SerializerOptions.NumberHandling = ResultJson.Compact.NumberHandling;
            foreach (var converter in ResultJson.Compact.Converters)
            {
                options.SerializerOptions.Converters.Add(converter);
            }
        });
        // The lambda is what the package's source generator looks for; through it, comments on the types come into the document.
        services.AddOpenApi(options => SweepDocument.Configure(options));
        return services;
    }

    /// <summary>Maps every route under /api, and the OpenAPI document.</summary>
    public static IEndpointRouteBuilder MapSweepApi(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder api = routes.MapGroup("/api").WithTags(SweepDocument.Tag);
        api.AlsoHead();

        api.MapPost("/sweeps", (HttpRequest request, SweepHandlers handlers) => handlers.SubmitAsync(request))
            .WithName("submitSweep")
            .WithSummary("Starts a sweep")
            .WithDescription(
                "The sweep runs on after the answer; follow it at links.self. With an Idempotency-Key that was sent before, the answer is the "
                + "sweep that it made then. What only tokenising can find is not a 400: the sweep fails and its status lists the faults.")
            .Accepts<SweepRequest>(Json)
            .Answers<SweepPlanAnswer>(StatusCodes.Status200OK, "With planOnly: how the sweep would be cut. There is no sweep.")
            .Answers<SweepAccepted>(StatusCodes.Status202Accepted, "The sweep is there. Location is its status; Retry-After says when to look.")
            .Refuses(StatusCodes.Status400BadRequest, ProblemTypes.InvalidRequest)
            .Refuses(StatusCodes.Status409Conflict, ProblemTypes.IdempotencyConflict, ProblemTypes.SweepDamaged)
            .Refuses(StatusCodes.Status413PayloadTooLarge, ProblemTypes.BodyTooLarge)
            .Refuses(StatusCodes.Status415UnsupportedMediaType, ProblemTypes.UnsupportedMediaType)
            .Refuses(StatusCodes.Status429TooManyRequests, ProblemTypes.TooManySweeps, ProblemTypes.TooManyBodies)
            .MayFail()
            .AddOpenApiOperationTransformer(SweepDocument.DescribeIdempotencyKey);

        api.MapGet("/sweeps", (HttpRequest request, SweepHandlers handlers) => handlers.ListAsync(request))
            .WithName("listSweeps")
            .WithSummary("Lists the sweeps, newest first, a page at a time")
            .Answers<SweepList>(StatusCodes.Status200OK, "A page of them; next leads to the next.")
            .Answers(StatusCodes.Status304NotModified, NotModified)
            .Refuses(StatusCodes.Status400BadRequest, ProblemTypes.InvalidRequest)
            .MayFail()
            .AddOpenApiOperationTransformer(SweepDocument.DescribeListQuery);

        api.MapPost("/sweeps/delete", (HttpRequest request, SweepHandlers handlers) => handlers.RemoveSeveralAsync(request))
            .WithName("removeSweeps")
            .WithSummary("Cancels or deletes several sweeps, each as DELETE does")
            .Accepts<SweepIdList>(Json)
            .Answers<SweepsRemoved>(StatusCodes.Status200OK, "What became of each.")
            .Refuses(StatusCodes.Status400BadRequest, ProblemTypes.InvalidRequest)
            .Refuses(StatusCodes.Status413PayloadTooLarge, ProblemTypes.BodyTooLarge)
            .Refuses(StatusCodes.Status415UnsupportedMediaType, ProblemTypes.UnsupportedMediaType)
            .MayFail();

        api.MapGet("/sweeps/{id}", (string id, HttpRequest request, SweepHandlers handlers) => handlers.FindAsync(request, id))
            .WithName("getSweep")
            .WithSummary("Says where a sweep stands")
            .WithDescription("With wait, it is said when it changes: from what the tag in If-None-Match is of, or without one from now on. Of a sweep that has ended it is said at once.")
            .Answers<SweepAnswer>(StatusCodes.Status200OK, "The sweep. Retry-After is there until it has ended; ETag is of this answer.")
            .Answers(StatusCodes.Status304NotModified, NotModified)
            .Refuses(StatusCodes.Status400BadRequest, ProblemTypes.InvalidRequest)
            .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep)
            .MayFail()
            .AddOpenApiOperationTransformer(SweepDocument.DescribeWait);

        api.MapGet("/sweeps/{id}/request", (string id, HttpRequest request, SweepHandlers handlers) => handlers.RequestAsync(request, id))
            .WithName("getRequest")
            .WithSummary("Gives what was asked for, to be posted again")
            .WithDescription("Members that are the default are left out. Of a sweep that the command line made from a model's folder, the model is that folder's name.")
            .Answers<SweepRequest>(StatusCodes.Status200OK, "The body of POST /api/sweeps.")
            .Answers(StatusCodes.Status304NotModified, NotModified)
            .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep)
            .Refuses(StatusCodes.Status409Conflict, ProblemTypes.SweepDamaged)
            .MayFail();

        api.MapGet("/sweeps/{id}/events", (string id, HttpRequest request, SweepHandlers handlers) => handlers.EventsAsync(request, id))
            .WithName("getEvents")
            .WithSummary("Says where a sweep stands each time that it changes, as server-sent events")
            .WithDescription(
                "Each event 'status' has the sweep as its data and a tag of that as its id; the last one is that of its end. 'gone' says that it was deleted, "
                + "'heartbeat' nothing. A stream ends after some minutes, too: a browser asks again by itself, with Last-Event-ID, and what it has had is not sent again.")
            .WithMetadata(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(string), ["text/event-stream"]) { Description = "The stream." })
            .Answers(StatusCodes.Status204NoContent, "The sweep has ended, and Last-Event-ID is of its last event.")
            .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep)
            .Refuses(StatusCodes.Status429TooManyRequests, ProblemTypes.TooManyWatchers)
            .MayFail()
            .AddOpenApiOperationTransformer(SweepDocument.DescribeLastEventId);

        api.MapDelete("/sweeps/{id}", (string id, HttpRequest request, SweepHandlers handlers) => handlers.RemoveAsync(request, id))
            .WithName("removeSweep")
            .WithSummary("Cancels a running sweep, or deletes the artifacts of one that has ended")
            .Answers<SweepRemoved>(StatusCodes.Status202Accepted, "It is being cancelled, or is deleted.")
            .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep)
            .MayFail();

        foreach (SweepPart part in SweepPart.All)
        {
            RouteHandlerBuilder route = api
                .MapGet($"/sweeps/{{id}}/{part.Route}", (string id, HttpRequest request, SweepHandlers handlers) => handlers.PartAsync(request, id, part))
                .WithName(part.Operation)
                .WithSummary(part.Summary)
                .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep)
                .Refuses(StatusCodes.Status409Conflict, ProblemTypes.SweepNotCompleted, ProblemTypes.SweepFailed, ProblemTypes.SweepCancelled, ProblemTypes.SweepDamaged)
                .MayFail();
            Type? schema = part == SweepPart.Results ? typeof(SweepResult) : typeof(Stream);
            route.WithMetadata(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, schema, [part.File.ContentType.Split(';')[0]]) { Description = part.Summary });
            route.Answers(StatusCodes.Status304NotModified, NotModified);
        }

        foreach (var (path, operation, file, type, summary) in new (string, string, ComparisonFile, Type, string)[]
        {
            ("/compare", "compareSweeps", ComparisonFiles.Json, typeof(SweepComparison), "Holds two completed sweeps against each other: which heads moved, by how much, how sure"),
            ("/compare/page", "compareSweepsPage", ComparisonFiles.Page, typeof(Stream), "Two completed sweeps side by side, as one self-contained page"),
        })
        {
            api.MapGet(path, (HttpRequest request, SweepHandlers handlers) => handlers.CompareAsync(request, file))
                .WithName(operation)
                .WithSummary(summary)
                .Refuses(StatusCodes.Status400BadRequest, ProblemTypes.InvalidRequest)
                .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep)
                .Refuses(StatusCodes.Status409Conflict, ProblemTypes.SweepNotCompleted, ProblemTypes.SweepFailed, ProblemTypes.SweepCancelled, ProblemTypes.SweepDamaged)
                .MayFail()
                .WithMetadata(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, type, [file.ContentType.Split(';')[0]]) { Description = "A difference is the effect of b less that of a." })
                .AddOpenApiOperationTransformer(SweepDocument.DescribeCompareQuery);
        }

        foreach (var (path, operation, summary) in new[]
        {
            ("/sweeps/{id}/circuit", "getCircuit", "The circuit and its proof as one self-contained page"),
            ("/sweeps/{id}/circuit/{file}", "getCircuitFile", "A file of the circuit: circuit.json, pictures, and what other programs read"),
        })
        {
            api.MapGet(path, (string id, string? file, HttpRequest request, SweepHandlers handlers) => handlers.CircuitAsync(request, id, file ?? CircuitFiles.PageName))
                .WithName(operation)
                .WithSummary(summary)
                .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep, ProblemTypes.NoCircuit, ProblemTypes.UnknownRoute)
                .Refuses(StatusCodes.Status409Conflict, ProblemTypes.SweepNotCompleted, ProblemTypes.SweepFailed, ProblemTypes.SweepCancelled, ProblemTypes.SweepDamaged)
                .MayFail()
                .WithMetadata(new ProducesResponseTypeMetadata(
                    StatusCodes.Status200OK, typeof(Stream), path.EndsWith('t') ? ["text/html"] : ["application/json", "image/svg+xml", "text/plain", "text/html"])
                { Description = summary });
        }

        api.MapGet("/sweeps/{id}/edges/{file}", (string id, string file, HttpRequest request, SweepHandlers handlers) => handlers.EdgesAsync(request, id, file))
            .WithName("getEdgesFile")
            .WithSummary("A file of the sweep's edges: edges.csv, all of them; edges.eap-ig.json and edges.dot, those above the threshold as a graph")
            .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep, ProblemTypes.NoEdges, ProblemTypes.UnknownRoute)
            .Refuses(StatusCodes.Status409Conflict, ProblemTypes.SweepNotCompleted, ProblemTypes.SweepFailed, ProblemTypes.SweepCancelled, ProblemTypes.SweepDamaged)
            .MayFail()
            .WithMetadata(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(Stream), ["text/csv", "application/json", "text/plain"]) { Description = "The file." });

        api.MapGet("/sweeps/{id}/patterns", (string id, HttpRequest request, SweepHandlers handlers) => handlers.PatternsAsync(request, id))
            .WithName("getPatterns")
            .WithSummary("Says where a head looks in both runs of a pair")
            .WithDescription($"From the store, or from one run of the pair that is made for it. Prompts may have {SweepPatterns.LongestPrompt} tokens.")
            .Answers<PatternAnswer>(StatusCodes.Status200OK, "The head's attention patterns.")
            .Refuses(StatusCodes.Status400BadRequest, ProblemTypes.InvalidRequest)
            .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep)
            .Refuses(
                StatusCodes.Status409Conflict,
                ProblemTypes.SweepNotCompleted,
                ProblemTypes.SweepFailed,
                ProblemTypes.SweepCancelled,
                ProblemTypes.SweepDamaged,
                ProblemTypes.ModelUnavailable)
            .Refuses(StatusCodes.Status429TooManyRequests, ProblemTypes.TooManyPatterns)
            .MayFail()
            .AddOpenApiOperationTransformer(SweepDocument.DescribePatternQuery);

        MapSeries(api);

        api.MapGet("/models", (HttpRequest request, SweepHandlers handlers) => handlers.ModelsAsync(request))
            .WithName("listModels")
            .WithSummary("Lists the models and the built-in datasets")
            .Answers<ModelList>(StatusCodes.Status200OK, "What there is to sweep.")
            .MayFail();

        api.MapGet("/health", (HttpRequest request, SweepHandlers handlers) => handlers.HealthAsync(request))
            .WithName("getHealth")
            .WithSummary("Says whether the server and its store work")
            .Answers<Health>(StatusCodes.Status200OK, "They do.")
            .MayFail();

        api.MapGet("/health/live", (HttpRequest request, SweepHandlers handlers) => handlers.LiveAsync(request))
            .WithName("getLiveness")
            .WithSummary("Says that the server answers; it does not ask the store")
            .Answers<Health>(StatusCodes.Status200OK, "It answers.")
            .MayFail();

        routes.MapOpenApi("/api/openapi.json").AlsoHead();
        return routes;
    }

    private static void MapSeries(RouteGroupBuilder api)
    {
        api.MapPost("/series", (HttpRequest request, SeriesHandlers handlers) => handlers.SubmitAsync(request))
            .WithName("submitSeries")
            .WithSummary("Starts one sweep of several models or checkpoints")
            .WithDescription(
                "Each model is swept by a sweep of its own, which the list has as any other, and what is stored of the same weights and pairs is not run "
                + "again. All models are checked before the first is swept, and must be of one shape. With an Idempotency-Key that was sent before, the answer is the series that it made then. A callback is called for each sweep.")
            .Accepts<SeriesRequest>(Json)
            .Answers<SeriesAccepted>(StatusCodes.Status202Accepted, "The series is there, and all its sweeps are. Location is its status; Retry-After says when to look.")
            .Refuses(StatusCodes.Status400BadRequest, ProblemTypes.InvalidRequest)
            .Refuses(StatusCodes.Status409Conflict, ProblemTypes.IdempotencyConflict, ProblemTypes.SweepDamaged)
            .Refuses(StatusCodes.Status413PayloadTooLarge, ProblemTypes.BodyTooLarge)
            .Refuses(StatusCodes.Status415UnsupportedMediaType, ProblemTypes.UnsupportedMediaType)
            .Refuses(StatusCodes.Status429TooManyRequests, ProblemTypes.TooManySweeps, ProblemTypes.TooManyBodies)
            .MayFail()
            .AddOpenApiOperationTransformer(SweepDocument.DescribeIdempotencyKey);

        api.MapGet("/series", (HttpRequest request, SeriesHandlers handlers) => handlers.ListAsync(request))
            .WithName("listSeries")
            .WithSummary("Lists the series, newest first, a page at a time")
            .Answers<SeriesList>(StatusCodes.Status200OK, "A page of them; next leads to the next.")
            .Answers(StatusCodes.Status304NotModified, NotModified)
            .Refuses(StatusCodes.Status400BadRequest, ProblemTypes.InvalidRequest)
            .MayFail()
            .AddOpenApiOperationTransformer(SweepDocument.DescribeSeriesQuery);

        api.MapGet("/series/{id}", (string id, HttpRequest request, SeriesHandlers handlers) => handlers.FindAsync(request, id))
            .WithName("getSeries")
            .WithSummary("Says where a series stands, model by model")
            .Answers<SeriesAnswer>(StatusCodes.Status200OK, "The series. Retry-After is there until it has ended; ETag is of this answer.")
            .Answers(StatusCodes.Status304NotModified, NotModified)
            .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSeries)
            .Refuses(StatusCodes.Status409Conflict, ProblemTypes.SweepDamaged)
            .MayFail();

        api.MapDelete("/series/{id}", (string id, HttpRequest request, SeriesHandlers handlers) => handlers.RemoveAsync(request, id))
            .WithName("removeSeries")
            .WithSummary("Cancels the sweeps of a series that are under way, or deletes one that has ended, with its sweeps")
            .Answers<SweepRemoved>(StatusCodes.Status202Accepted, "They are being cancelled, or the series is deleted.")
            .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSeries)
            .MayFail();

        foreach (var (path, operation, file, type, summary) in new (string, string, SeriesFile, Type, string)[]
        {
            ("results", "getSeriesResults", SeriesFiles.Json, typeof(SweepSeries), "Every head over the models of a completed series"),
            ("report", "getSeriesReport", SeriesFiles.Page, typeof(Stream), "The same as one self-contained page with a slider over the models"),
        })
        {
            api.MapGet($"/series/{{id}}/{path}", (string id, HttpRequest request, SeriesHandlers handlers) => handlers.PartAsync(request, id, file))
                .WithName(operation)
                .WithSummary(summary)
                .WithMetadata(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, type, [file.ContentType.Split(';')[0]]) { Description = summary })
                .Answers(StatusCodes.Status304NotModified, NotModified)
                .Refuses(StatusCodes.Status404NotFound, ProblemTypes.UnknownSeries)
                .Refuses(StatusCodes.Status409Conflict, ProblemTypes.SweepNotCompleted, ProblemTypes.SweepFailed, ProblemTypes.SweepCancelled, ProblemTypes.SweepDamaged)
                .MayFail();
        }
    }

    /// <summary>Lets HEAD ask for whatever GET may: the server leaves the body out.</summary>
    internal static void AlsoHead(this IEndpointConventionBuilder routes) => routes.Finally(route =>
    {
        if (route.Metadata.OfType<HttpMethodMetadata>().LastOrDefault() is { HttpMethods: ["GET"] } onlyGet)
        {
            route.Metadata[route.Metadata.IndexOf(onlyGet)] = new HttpMethodMetadata([HttpMethods.Get, HttpMethods.Head]);
        }
    });

    private static RouteHandlerBuilder Answers(this RouteHandlerBuilder route, int status, string description) =>
        route.WithMetadata(new ProducesResponseTypeMetadata(status, typeof(void)) { Description = description });

    private static RouteHandlerBuilder Answers<T>(this RouteHandlerBuilder route, int status, string description) =>
        route.WithMetadata(new ProducesResponseTypeMetadata(status, typeof(T), [Json]) { Description = description });

    private static RouteHandlerBuilder Refuses(this RouteHandlerBuilder route, int status, params string[] types) =>
        route.WithMetadata(new ProducesResponseTypeMetadata(status, typeof(ProblemAnswer), [ProblemJson]) { Description = string.Join(" or ", types) });

    private static RouteHandlerBuilder MayFail(this RouteHandlerBuilder route) => route
        .Answers(StatusCodes.Status401Unauthorized, "In the Functions app: there is no function key, or a wrong one.")
        .Refuses(StatusCodes.Status403Forbidden, ProblemTypes.UnknownHost, ProblemTypes.CrossSite)
        .Refuses(StatusCodes.Status500InternalServerError, ProblemTypes.Internal)
        .Refuses(StatusCodes.Status503ServiceUnavailable, ProblemTypes.StoreUnavailable);
}
