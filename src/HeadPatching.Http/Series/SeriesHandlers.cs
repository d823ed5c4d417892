using System.Diagnostics;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Series;
using HeadPatching.Http.Answers;
using HeadPatching.Http.Following;
using HeadPatching.Http.Problems;
using HeadPatching.Http.Requests;
using HeadPatching.Reports.Series;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Series;
using HeadPatching.Sweeps.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;

namespace HeadPatching.Http.Series;

/// <summary>What the routes of series do, in whatever host, as <see cref="SweepHandlers"/> does of sweeps.</summary>
public sealed class SeriesHandlers
{
    // Each reads the results of up to a hundred sweeps.
    private static readonly SemaphoreSlim OneAtATime = new(1);

    private readonly ISweepHost _host;
    private readonly SeriesSweeps _series;
    private readonly IModelCatalog _catalog;
    private readonly CallbackHosts _callbacks;
    private readonly RequestLimits _limits;
    private readonly BodyBudget _bodies;
    private readonly ILogger<SeriesHandlers> _logger;

    /// <summary>Makes the handlers of a host.</summary>
    public SeriesHandlers(
        ISweepHost host, IModelCatalog catalog, CallbackHosts callbacks, RequestLimits limits, BodyBudget bodies, TimeProvider time, ILogger<SeriesHandlers> logger)
    {
        _host = host;
        _series = new SeriesSweeps(host, time);
        _catalog = catalog;
        _callbacks = callbacks;
        _limits = limits;
        _bodies = bodies;
        _logger = logger;
    }

    /// <summary>POST /api/series</summary>
    public Task<IResult> SubmitAsync(HttpRequest request) => GuardedAsync(request, async stop =>
    {
        if (!request.HasJsonContentType() || request.Headers.ContainsKey(HeaderNames.ContentEncoding))
        {
            return Problem.OfStatus(StatusCodes.Status415UnsupportedMediaType);
        }

        string? key = IdempotencyKey.Read(request, _limits);
        using IDisposable room = await _bodies.TakeAsync(request, stop);
        ReadOnlyMemory<byte> body = await BoundedBody.ReadAsync(request, _limits.BodyBytes, stop);
        var (sweep, models) = await SweepRequestReader.ReadSeriesAsync(body, _limits, _catalog, _callbacks, stop);
        await StoredPairs.CheckAsync(_host.Store, sweep, FaultPlaces.JsonPaths, stop);
        string? trace = Activity.Current?.Id ?? request.Headers.TraceParent;
        var (outcome, series) = await _series.SubmitAsync(sweep, models, key, trace, stop);
        if (outcome == SubmissionOutcome.Conflict)
        {
            return Problem.IdempotencyConflict(series.Id, "series");
        }

        SeriesStatus status = await _series.StatusAsync(series, stop);
        SeriesLinks links = SeriesLinks.Of(series.Id, request.PathBase);
        IHeaderDictionary headers = request.HttpContext.Response.Headers;
        headers.RetryAfter = GuardedCall.SecondsToNextLook;
        headers.Location = links.Self;
        return Results.Json(new SeriesAccepted(series.Id, status.State, links), ResultJson.Compact, statusCode: StatusCodes.Status202Accepted);
    });

    /// <summary>GET /api/series</summary>
    public Task<IResult> ListAsync(HttpRequest request) => GuardedAsync(request, async stop =>
    {
        SeriesQuery query = SeriesQuery.Read(request.Query);
        SeriesPage page = await _series.ListAsync(query.Limit, query.After, stop);
        return TaggedJson.Of(new SeriesList(
            [.. page.Series.Select(status => SeriesAnswer.Of(status, request.PathBase))],
            page.Total,
            page.Next is null ? null : query.AddressAfter(page.Next, request.PathBase),
            page.Next)).Result(request);
    });

    /// <summary>GET /api/series/{id}</summary>
    public Task<IResult> FindAsync(HttpRequest request, string id) => GuardedAsync(request, async stop =>
    {
        if (await _series.FindAsync(id, stop) is not SeriesStatus status)
        {
            return Problem.UnknownSeries();
        }

        if (!status.HasEnded)
        {
            request.HttpContext.Response.Headers.RetryAfter = GuardedCall.SecondsToNextLook;
        }

        return TaggedJson.Of(SeriesAnswer.Of(status, request.PathBase)).Result(request);
    });

    /// <summary>DELETE /api/series/{id}</summary>
    public Task<IResult> RemoveAsync(HttpRequest request, string id) => GuardedAsync(request, async stop =>
    {
        Removal removal = await _series.RemoveAsync(id, stop);
        if (removal == Removal.Unknown)
        {
            return Problem.UnknownSeries();
        }

        if (removal == Removal.Cancelling)
        {
            request.HttpContext.Response.Headers.Location = SeriesLinks.Of(id, request.PathBase).Self;
        }

        return Results.Json(new SweepRemoved(id, removal.NameOf()), ResultJson.Compact, statusCode: StatusCodes.Status202Accepted);
    });

    /// <summary>GET /api/series/{id}/results and /report: put together from the sweeps' results at each call, and stored nowhere.</summary>
    /// <param name="request">The request.</param>
    /// <param name="id">The series.</param>
    /// <param name="file">As what it is answered.</param>
    public Task<IResult> PartAsync(HttpRequest request, string id, SeriesFile file) => GuardedAsync(request, async stop =>
    {
        if (await _series.FindAsync(id, stop) is not SeriesStatus status)
        {
            return Problem.UnknownSeries();
        }

        HttpResponse response = request.HttpContext.Response;
        if (status.State != SweepState.Completed)
        {
            response.Headers.RetryAfter = status.HasEnded ? default : GuardedCall.SecondsToNextLook;
            return Problem.NoResult(status);
        }

        // It never changes, but of a deleted sweep the same key makes another: then it ends at another time.
        var tag = new EntityTagHeaderValue($"\"{id}-{status.FinishedAt?.Ticks:x}\"", isWeak: true);
        response.Headers.CacheControl = "no-cache";
        if (request.GetTypedHeaders().IfNoneMatch.Any(known => known.Compare(tag, useStrongComparison: false)))
        {
            response.GetTypedHeaders().ETag = tag;
            return Results.StatusCode(StatusCodes.Status304NotModified);
        }

        await OneAtATime.WaitAsync(stop);
        try
        {
            var results = new List<(string Model, SweepResult Result)>();
            foreach (SeriesSweep sweep in status.Series.Sweeps)
            {
                if (await ReadAsync(sweep.SweepId, stop) is not SweepResult result)
                {
                    return Problem.NoResult(await _series.StatusAsync(status.Series, stop)); // it was deleted at this moment
                }

                results.Add((sweep.Model, result));
            }

            using var content = new MemoryStream();
            file.Write(SweepSeries.Of(results), content);
            return Results.Bytes(content.ToArray(), file.ContentType, entityTag: tag);
        }
        catch (InvalidInputException e)
        {
            return Problem.NotOfOneShape(e.Faults);
        }
        finally
        {
            OneAtATime.Release();
        }
    });

    private async Task<SweepResult?> ReadAsync(string sweepId, CancellationToken cancellationToken)
    {
        string name = SweepArtifacts.Result(sweepId, ResultJson.File.Name);
        await using Stream? stream = await _host.Store.OpenReadAsync(name, cancellationToken);
        try
        {
            return stream is null ? null : await ResultJson.ReadWithoutPairsAsync(stream, name, cancellationToken);
        }
        catch (InvalidInputException e)
        {
            throw new DamagedArtifactException(name, "it is no result that this version reads", e);
        }
    }

    private Task<IResult> GuardedAsync(HttpRequest request, Func<CancellationToken, Task<IResult>> handle) => GuardedCall.RunAsync(request, _logger, handle);
}
