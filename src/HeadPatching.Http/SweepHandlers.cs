using System.Diagnostics;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Http.Answers;
using HeadPatching.Http.Comparing;
using HeadPatching.Http.Following;
using HeadPatching.Http.OpenApi;
using HeadPatching.Http.Problems;
using HeadPatching.Http.Requests;
using HeadPatching.Reports.Circuits;
using HeadPatching.Reports.Comparing;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;
using SweepList = HeadPatching.Http.Answers.SweepList;

namespace HeadPatching.Http;

/// <summary>
/// What every route does, in whatever host: each method takes the request and the id in its path, and returns the answer. None throws but
/// when the caller has gone; what goes wrong is a problem+json answer.
/// </summary>
public sealed class SweepHandlers
{
    private const int RemovalsAtOnce = 4;
    private static readonly TimeSpan LongestHealthCheck = TimeSpan.FromSeconds(5);

    // Each takes all cores for its draws, and memory for two results and what is drawn from them.
    private static readonly SemaphoreSlim OneResultAtATime = new(1);

    private readonly ISweepHost _host;
    private readonly IModelCatalog _catalog;
    private readonly SweepDigests _digests;
    private readonly CallbackHosts _callbacks;
    private readonly WatchPlaces _watches;
    private readonly SweepPatterns _patterns;
    private readonly RequestLimits _limits;
    private readonly BodyBudget _bodies;
    private readonly ILogger<SweepHandlers> _logger;

    /// <summary>Makes the handlers of a host.</summary>
    public SweepHandlers(
        ISweepHost host,
        IModelCatalog catalog,
        SweepPatterns patterns,
        SweepDigests digests,
        CallbackHosts callbacks,
        WatchPlaces watches,
        RequestLimits limits,
        BodyBudget bodies,
        ILogger<SweepHandlers> logger)
    {
        _host = host;
        _catalog = catalog;
        _patterns = patterns;
        _digests = digests;
        _callbacks = callbacks;
        _watches = watches;
        _limits = limits;
        _bodies = bodies;
        _logger = logger;
    }

    /// <summary>POST /api/sweeps</summary>
    public Task<IResult> SubmitAsync(HttpRequest request) => GuardedAsync(request, async stop =>
    {
        if (!request.HasJsonContentType() || request.Headers.ContainsKey(HeaderNames.ContentEncoding))
        {
            return Problem.OfStatus(StatusCodes.Status415UnsupportedMediaType);
        }

        string? key = IdempotencyKey.Read(request, _limits);
        using IDisposable room = await _bodies.TakeAsync(request, stop);
        ReadOnlyMemory<byte> body = await BoundedBody.ReadAsync(request, _limits.BodyBytes, stop);
        var (sweep, planOnly) = await SweepRequestReader.ReadAsync(body, _limits, _catalog, _callbacks, stop);
        if (planOnly)
        {
            PlannedSweep plan = await new StoredPlans(_host.Store, _catalog).PlanAsync(sweep, TimeProvider.System.GetUtcNow(), FaultPlaces.JsonPaths, stop);
            return Json(SweepPlanAnswer.Of(plan.Header));
        }

        await StoredPairs.CheckAsync(_host.Store, sweep, FaultPlaces.JsonPaths, stop);
        string? trace = Activity.Current?.Id ?? request.Headers.TraceParent;
        Submission submission = await _host.SubmitAsync(sweep, key, trace, stop);
        if (submission.Outcome == SubmissionOutcome.Conflict)
        {
            return Problem.IdempotencyConflict(submission.Status.Id);
        }

        SweepLinks links = SweepLinks.Of(submission.Status.Id, request.PathBase);
        request.HttpContext.Response.Headers.RetryAfter = GuardedCall.SecondsToNextLook;
        return Json(new SweepAccepted(submission.Status.Id, submission.Status.Status, links), StatusCodes.Status202Accepted, links.Self, request);
    });

    /// <summary>GET /api/sweeps</summary>
    public Task<IResult> ListAsync(HttpRequest request) => GuardedAsync(request, async stop =>
    {
        ListQuery query = ListQuery.Read(request.Query, _limits);
        SweepPage page = await _host.ListAsync(query.Limit, query.After, query.Filter, stop);
        IReadOnlyDictionary<string, SweepDigest> digests = await _digests.ReadAsync(page.Sweeps, stop);
        return TaggedJson.Of(new SweepList(
            [.. page.Sweeps.Select(status => SweepAnswer.Of(status, digests.GetValueOrDefault(status.Id), request.PathBase))],
            page.Total,
            page.UnderWay,
            page.Next is null ? null : query.AddressAfter(page.Next, request.PathBase),
            page.Next)).Result(request);
    });

    /// <summary>GET /api/sweeps/{id}, at once or when it has changed.</summary>
    public Task<IResult> FindAsync(HttpRequest request, string id) => GuardedAsync(request, async stop =>
    {
        TimeSpan patience = WaitQuery.Read(request.Query);
        var follower = new SweepFollower(_host, _digests, id, request.PathBase);
        SweepView? view = await follower.LookAsync(stop);

        // Without a tag it is a change from now on that is waited for; and where too many wait, nobody more does.
        if (view is { Status.HasEnded: false } && patience > TimeSpan.Zero && view.Answer.IsKnownTo(request) != false)
        {
            using IDisposable? place = _watches.TryTake();
            if (place is not null)
            {
                view = await follower.WaitAsync(view, patience, stop);
            }
        }

        if (view is null)
        {
            return Problem.UnknownSweep();
        }

        if (!view.Status.HasEnded)
        {
            request.HttpContext.Response.Headers.RetryAfter = GuardedCall.SecondsToNextLook;
        }

        return view.Answer.Result(request);
    });

    /// <summary>GET /api/sweeps/{id}/events</summary>
    public Task<IResult> EventsAsync(HttpRequest request, string id) => GuardedAsync(request, async stop =>
    {
        var follower = new SweepFollower(_host, _digests, id, request.PathBase);
        if (await follower.LookAsync(stop) is not SweepView view)
        {
            return Problem.UnknownSweep();
        }

        HttpResponse response = request.HttpContext.Response;
        string known = request.Headers[SweepFollower.LastEventHeader].ToString();
        if (view.Status.HasEnded && known == view.Answer.Id)
        {
            return Results.NoContent(); // a browser then asks no more
        }

        if (HttpMethods.IsHead(request.Method))
        {
            response.ContentType = "text/event-stream";
            return Results.Empty;
        }

        if (_watches.TryTake() is not IDisposable place)
        {
            response.Headers.RetryAfter = GuardedCall.SecondsToNextLook;
            return Problem.TooManyWatchers(_limits.Watchers);
        }

        response.RegisterForDispose(place);
        var ends = CancellationTokenSource.CreateLinkedTokenSource(stop, _watches.Stopping);
        response.RegisterForDispose(ends);
        return TypedResults.ServerSentEvents(follower.EventsAsync(view, known, ends.Token));
    });

    /// <summary>GET /api/sweeps/{id}/request</summary>
    public Task<IResult> RequestAsync(HttpRequest request, string id) => GuardedAsync(request, async stop =>
        SweepIds.IsValid(id) && await _host.Store.ReadRequestAsync(id, stop) is StoredRequest stored
            ? TaggedJson.Of(RequestAnswer.Of(stored.Request)).Result(request)
            : Problem.UnknownSweep());

    /// <summary>Answers what is there of a completed sweep alone.</summary>
    private Task<IResult> OfCompletedAsync(HttpRequest request, string id, Func<SweepStatus, CancellationToken, Task<IResult>> answer) =>
        GuardedAsync(request, stop => OfCompletedAsync(request, id, answer, stop));

    private async Task<IResult> OfCompletedAsync(HttpRequest request, string id, Func<SweepStatus, CancellationToken, Task<IResult>> answer, CancellationToken cancellationToken)
    {
        if (await _host.FindAsync(id, cancellationToken) is not SweepStatus status)
        {
            return Problem.UnknownSweep();
        }

        if (status.Status == SweepState.Completed)
        {
            return await answer(status, cancellationToken);
        }

        if (!status.HasEnded)
        {
            request.HttpContext.Response.Headers.RetryAfter = GuardedCall.SecondsToNextLook;
        }

        return Problem.NoResult(status);
    }

    /// <summary>GET /api/sweeps/{id}/results and the other parts of a completed sweep.</summary>
    /// <param name="request">The request.</param>
    /// <param name="id">The sweep.</param>
    /// <param name="part">Which part.</param>
    public Task<IResult> PartAsync(HttpRequest request, string id, SweepPart part) => OfCompletedAsync(request, id, async (status, stop) =>
    {
        Stream? content = await _host.Store.OpenReadAsync(SweepArtifacts.Result(id, part.File.Name), stop);
        if (content is null)
        {
            return Problem.UnknownSweep(); // it was deleted at this moment
        }

        // A part never changes, but a deleted sweep's key may be used again: then it ends at another time.
        IHeaderDictionary headers = request.HttpContext.Response.Headers;
        headers.CacheControl = "no-cache";
        headers.ContentSecurityPolicy = part.ContentSecurityPolicy;
        var etag = new EntityTagHeaderValue($"\"{id}-{status.FinishedAt?.Ticks:x}\"");
        return Results.Stream(content, part.File.ContentType, lastModified: status.FinishedAt, entityTag: etag);
    });

    /// <summary>GET /api/sweeps/{id}/patterns?head=L9H6&amp;pair=3</summary>
    public Task<IResult> PatternsAsync(HttpRequest request, string id) => GuardedAsync(request, stop =>
    {
        PatternQuery query = PatternQuery.Read(request.Query); // what is wrong with it is said whatever the sweep is
        return OfCompletedAsync(
            request,
            id,
            async (_, cancel) => Json(PatternAnswer.Of(await _patterns.FindAsync(id, query.Head, query.Pair, cancel), await new StoredPlans(_host.Store, _catalog).TokenTextsAsync(id, cancel))),
            stop);
    });

    /// <summary>GET /api/sweeps/{id}/circuit, its page, and /circuit/{file}, the files of it.</summary>
    /// <param name="request">The request.</param>
    /// <param name="id">The sweep.</param>
    /// <param name="name">The file.</param>
    public Task<IResult> CircuitAsync(HttpRequest request, string id, string name) =>
        MadeFileAsync(request, id, name, result => result.Circuit is ProofSheet sheet ? CircuitFiles.Of(sheet, result) : null, Problem.NoCircuit);

    /// <summary>GET /api/sweeps/{id}/edges/{file}, the files of a sweep's edges.</summary>
    /// <inheritdoc cref="CircuitAsync"/>
    public Task<IResult> EdgesAsync(HttpRequest request, string id, string name) =>
        MadeFileAsync(request, id, name, result => result.Edges is null ? null : EdgeFiles.Of(result), Problem.NoEdges);

    /// <summary>A file that is made of results.json when it is asked for.</summary>
    private Task<IResult> MadeFileAsync(
        HttpRequest request, string id, string name, Func<SweepResult, IReadOnlyList<(string Name, Action<Stream> Write)>?> files, Func<IResult> none) => OfCompletedAsync(request, id, async (status, stop) =>
    {
        await OneResultAtATime.WaitAsync(stop);
        try
        {
            if (await _host.Store.ReadJsonAsync<SweepResult>(SweepArtifacts.Result(id, ResultJson.File.Name), stop) is not SweepResult result)
            {
                return Problem.UnknownSweep(); // it was deleted at this moment
            }

            if (files(result) is not { } made)
            {
                return none();
            }

            if (made.FirstOrDefault(file => file.Name == name).Write is not Action<Stream> write)
            {
                return Problem.OfStatus(StatusCodes.Status404NotFound);
            }

            var content = new MemoryStream();
            write(content);
            content.Position = 0;
            IHeaderDictionary headers = request.HttpContext.Response.Headers;
            headers.CacheControl = "no-cache";
            headers.ContentSecurityPolicy = Path.GetExtension(name) == ".svg" ? SweepPart.HeatmapSvg.ContentSecurityPolicy : default;
            return Results.Stream(
                content, CircuitFiles.ContentTypeOf(name), lastModified: status.FinishedAt, entityTag: new EntityTagHeaderValue($"\"{id}-{status.FinishedAt?.Ticks:x}-{name}\""));
        }
        finally
        {
            OneResultAtATime.Release();
        }
    });

    /// <summary>DELETE /api/sweeps/{id}</summary>
    public Task<IResult> RemoveAsync(HttpRequest request, string id) => GuardedAsync(request, async stop =>
    {
        Removal removal = await _host.RemoveAsync(id, stop);
        return removal switch
        {
            Removal.Unknown => Problem.UnknownSweep(),
            Removal.Cancelling => Json(
                new SweepRemoved(id, removal.NameOf()), StatusCodes.Status202Accepted, SweepLinks.Of(id, request.PathBase).Self, request),
            _ => Json(new SweepRemoved(id, removal.NameOf()), StatusCodes.Status202Accepted),
        };
    });

    /// <summary>GET /api/compare and /api/compare/page: two completed sweeps, b less a.</summary>
    /// <param name="request">The request.</param>
    /// <param name="file">As what the comparison is answered.</param>
    public Task<IResult> CompareAsync(HttpRequest request, ComparisonFile file) => GuardedAsync(request, async stop =>
    {
        CompareQuery query;
        try
        {
            query = CompareQuery.Read(request.Query);
        }
        catch (RefusedRequestException e)
        {
            return Problem.CannotCompare(e.Faults);
        }

        string[] ids = [query.A, query.B];
        foreach (string id in ids)
        {
            if (await _host.FindAsync(id, stop) is not SweepStatus status)
            {
                return Problem.UnknownSweep(id);
            }

            if (status.Status != SweepState.Completed)
            {
                return Problem.NoResult(status);
            }
        }

        await OneResultAtATime.WaitAsync(stop);
        try
        {
            var sweeps = new List<ComparedSweep>();
            foreach (string id in ids)
            {
                if (await StoredComparison.ReadAsync(_host.Store, id, stop) is not ComparedSweep sweep)
                {
                    return Problem.UnknownSweep(id); // it was deleted at this moment
                }

                sweeps.Add(sweep);
            }

            SweepComparison comparison = await SweepComparer.CompareAsync(sweeps[0], sweeps[1], query.Draws, query.Seed, stop);
            using var content = new MemoryStream();
            file.Write(comparison, content);
            request.HttpContext.Response.Headers.CacheControl = "no-cache";
            return Results.Bytes(content.ToArray(), file.ContentType);
        }
        catch (InvalidInputException e)
        {
            return Problem.CannotCompare(e.Faults);
        }
        finally
        {
            OneResultAtATime.Release();
        }
    });

    /// <summary>POST /api/sweeps/delete</summary>
    public Task<IResult> RemoveSeveralAsync(HttpRequest request) => GuardedAsync(request, async stop =>
    {
        if (!request.HasJsonContentType() || request.Headers.ContainsKey(HeaderNames.ContentEncoding))
        {
            return Problem.OfStatus(StatusCodes.Status415UnsupportedMediaType);
        }

        SweepIdList wanted = SweepIdList.Read(await BoundedBody.ReadAsync(request, SweepIdList.MostBytes, stop));
        var outcomes = new SweepRemoved[wanted.Ids.Count];
        await Parallel.ForEachAsync(
            Enumerable.Range(0, outcomes.Length),
            new ParallelOptions { MaxDegreeOfParallelism = RemovalsAtOnce, CancellationToken = stop },
            async (index, cancel) => outcomes[index] = new SweepRemoved(wanted.Ids[index], await OutcomeAsync(wanted.Ids[index], cancel)));
        return Json(new SweepsRemoved(outcomes));

        async Task<string> OutcomeAsync(string id, CancellationToken cancel)
        {
            try
            {
                return (await _host.RemoveAsync(id, cancel)).NameOf();
            }
            catch (Exception e) when (e is DamagedArtifactException || StoreFaults.IsStoreFault(e, cancel))
            {
                Log.StoreFailed(_logger, e, request.Method, request.Path);
                return "failed"; // the others are told of all the same
            }
        }
    });

    /// <summary>GET /api/models</summary>
    public Task<IResult> ModelsAsync(HttpRequest request) => GuardedAsync(request, async stop => Json(new ModelList(
        [.. (await _catalog.ListAsync(stop)).Select(Answer)],
        [.. BuiltInDatasets.All.Select(dataset => new DatasetAnswer(dataset.Name, dataset.Description, dataset.IsGenerated))])));

    /// <summary>GET /api/health</summary>
    public Task<IResult> HealthAsync(HttpRequest request) => GuardedAsync(request, async stop =>
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(LongestHealthCheck);
        await _host.Store.ExistsAsync("health", patience.Token);
        return Json(new Health("ok", AssembleSweep.Version));
    });

    /// <summary>GET /api/health/live: that it answers at all. It asks nobody, so that a store that is away restarts no host.</summary>
    public Task<IResult> LiveAsync(HttpRequest request) => GuardedAsync(request, _ => Task.FromResult(Json(new Health("ok", AssembleSweep.Version))));

    /// <summary>GET /api/openapi.json, where the host does not make the document itself.</summary>
    public Task<IResult> OpenApiAsync(HttpRequest request) =>
        GuardedAsync(request, _ => Task.FromResult(Results.Stream(OpenApiDocumentFile.OpenRead(), "application/json")));

    /// <summary>What is answered where there is no route, in a host that cannot say so by itself.</summary>
    /// <param name="request">The request.</param>
    /// <param name="allowed">The methods that the path knows; empty where it is no path at all.</param>
    public static IResult NoRoute(HttpRequest request, IReadOnlyList<string> allowed)
    {
        if (allowed.Count == 0)
        {
            return Problem.OfStatus(StatusCodes.Status404NotFound);
        }

        request.HttpContext.Response.Headers.Allow = string.Join(", ", allowed);
        return Problem.OfStatus(StatusCodes.Status405MethodNotAllowed);
    }

    private static ModelAnswer Answer(ListedModel model) => new()
    {
        Name = model.Name,
        Family = model.Shape?.Family,
        Layers = model.Shape?.Layers,
        Heads = model.Shape?.Heads,
        Context = model.Shape?.Context,
        Vocabulary = model.Shape?.Vocabulary,
        Parameters = model.Shape?.Parameters,
        Problem = model.Problem,
    };

    private static IResult Json<T>(T answer, int status = StatusCodes.Status200OK, string? location = null, HttpRequest? request = null)
    {
        if (location is not null)
        {
            request!.HttpContext.Response.Headers.Location = location;
        }

        return Results.Json(answer, ResultJson.Compact, statusCode: status);
    }

    private Task<IResult> GuardedAsync(HttpRequest request, Func<CancellationToken, Task<IResult>> handle) => GuardedCall.RunAsync(request, _logger, handle);
}
