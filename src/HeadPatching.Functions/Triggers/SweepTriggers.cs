using HeadPatching.Http;
using HeadPatching.Http.Series;
using HeadPatching.Reports.Circuits;
using HeadPatching.Reports.Comparing;
using HeadPatching.Reports.Series;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;

namespace HeadPatching.Functions.Triggers;

/// <summary>The routes of the HTTP contract. What each does is in <see cref="SweepHandlers"/> and <see cref="SeriesHandlers"/>, shared with the embedded host.</summary>
public sealed class SweepTriggers
{
    private readonly DurableHandlers _handlers;

    /// <summary>Makes the triggers.</summary>
    public SweepTriggers(DurableHandlers handlers)
    {
        _handlers = handlers;
    }

    /// <summary>POST /api/sweeps</summary>
    [Function("SubmitSweep")]
    public Task<IResult> SubmitAsync(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "api/sweeps")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).SubmitAsync(request);

    /// <summary>GET /api/sweeps</summary>
    [Function("ListSweeps")]
    public Task<IResult> ListAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/sweeps")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).ListAsync(request);

    /// <summary>POST /api/sweeps/delete</summary>
    [Function("RemoveSweeps")]
    public Task<IResult> RemoveSeveralAsync(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "api/sweeps/delete")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).RemoveSeveralAsync(request);

    /// <summary>GET /api/sweeps/{id}</summary>
    [Function("GetSweep")]
    public Task<IResult> FindAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/sweeps/{id}")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).FindAsync(request, id);

    /// <summary>DELETE /api/sweeps/{id}</summary>
    [Function("RemoveSweep")]
    public Task<IResult> RemoveAsync(
        [HttpTrigger(AuthorizationLevel.Function, "delete", Route = "api/sweeps/{id}")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).RemoveAsync(request, id);

    /// <summary>GET /api/sweeps/{id}/events</summary>
    [Function("GetEvents")]
    public Task<IResult> EventsAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/sweeps/{id}/events")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).EventsAsync(request, id);

    /// <summary>GET /api/sweeps/{id}/request</summary>
    [Function("GetRequest")]
    public Task<IResult> RequestAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/sweeps/{id}/request")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).RequestAsync(request, id);

    /// <summary>GET /api/sweeps/{id}/results, /heatmap.png, /heatmap.svg, /heatmap.csv, /heads.csv, /effects.parquet, /report</summary>
    [Function("GetSweepPart")]
    public Task<IResult> PartAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/sweeps/{id}/{part}")] HttpRequest request,
        string id,
        string part,
        [DurableClient] DurableTaskClient client) =>
        SweepPart.All.FirstOrDefault(known => known.Route == part) is SweepPart known
            ? _handlers.Over(client).PartAsync(request, id, known)
            : Task.FromResult(SweepHandlers.NoRoute(request, []));

    /// <summary>GET /api/sweeps/{id}/circuit</summary>
    [Function("GetCircuit")]
    public Task<IResult> CircuitAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/sweeps/{id}/circuit")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).CircuitAsync(request, id, CircuitFiles.PageName);

    /// <summary>GET /api/sweeps/{id}/circuit/circuit.svg and its other files</summary>
    [Function("GetCircuitFile")]
    public Task<IResult> CircuitFileAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/sweeps/{id}/circuit/{file}")] HttpRequest request,
        string id,
        string file,
        [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).CircuitAsync(request, id, file);

    /// <summary>GET /api/sweeps/{id}/edges/edges.csv and the other files of edges</summary>
    [Function("GetEdgesFile")]
    public Task<IResult> EdgesFileAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/sweeps/{id}/edges/{file}")] HttpRequest request,
        string id,
        string file,
        [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).EdgesAsync(request, id, file);

    /// <summary>GET /api/compare</summary>
    [Function("CompareSweeps")]
    public Task<IResult> CompareAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/compare")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).CompareAsync(request, ComparisonFiles.Json);

    /// <summary>GET /api/compare/page</summary>
    [Function("CompareSweepsPage")]
    public Task<IResult> ComparePageAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/compare/page")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).CompareAsync(request, ComparisonFiles.Page);

    /// <summary>GET /api/sweeps/{id}/patterns</summary>
    [Function("GetPatterns")]
    public Task<IResult> PatternsAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/sweeps/{id}/patterns")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).PatternsAsync(request, id);

    /// <summary>POST /api/series</summary>
    [Function("SubmitSeries")]
    public Task<IResult> SubmitSeriesAsync(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "api/series")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.SeriesOver(client).SubmitAsync(request);

    /// <summary>GET /api/series</summary>
    [Function("ListSeries")]
    public Task<IResult> ListSeriesAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/series")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.SeriesOver(client).ListAsync(request);

    /// <summary>GET /api/series/{id}</summary>
    [Function("GetSeries")]
    public Task<IResult> FindSeriesAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/series/{id}")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.SeriesOver(client).FindAsync(request, id);

    /// <summary>DELETE /api/series/{id}</summary>
    [Function("RemoveSeries")]
    public Task<IResult> RemoveSeriesAsync(
        [HttpTrigger(AuthorizationLevel.Function, "delete", Route = "api/series/{id}")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.SeriesOver(client).RemoveAsync(request, id);

    /// <summary>GET /api/series/{id}/results</summary>
    [Function("GetSeriesResults")]
    public Task<IResult> SeriesResultsAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/series/{id}/results")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.SeriesOver(client).PartAsync(request, id, SeriesFiles.Json);

    /// <summary>GET /api/series/{id}/report</summary>
    [Function("GetSeriesReport")]
    public Task<IResult> SeriesReportAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/series/{id}/report")] HttpRequest request, string id, [DurableClient] DurableTaskClient client) =>
        _handlers.SeriesOver(client).PartAsync(request, id, SeriesFiles.Page);

    /// <summary>GET /api/models</summary>
    [Function("ListModels")]
    public Task<IResult> ModelsAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/models")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).ModelsAsync(request);

    /// <summary>GET /api/openapi.json</summary>
    [Function("GetOpenApi")]
    public Task<IResult> OpenApiAsync(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", Route = "api/openapi.json")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).OpenApiAsync(request);

    /// <summary>GET /api/health, without a key: load balancers have none.</summary>
    [Function("GetHealth")]
    public Task<IResult> HealthAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "api/health")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).HealthAsync(request);

    /// <summary>GET /api/health/live, without a key either.</summary>
    [Function("GetLiveness")]
    public Task<IResult> LiveAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "api/health/live")] HttpRequest request, [DurableClient] DurableTaskClient client) =>
        _handlers.Over(client).LiveAsync(request);

    /// <summary>
    /// Everything else of the API: the host would answer with an empty 404. The host takes the first function whose route fits, in the order of their
    /// names, so this one's name must be the last.
    /// </summary>
    [Function("UnknownRoute")]
    public static IResult UnknownRoute(
        [HttpTrigger(AuthorizationLevel.Function, "get", "head", "post", "put", "patch", "delete", Route = "api/{*path}")] HttpRequest request, string? path) =>
        SweepHandlers.NoRoute(request, (path ?? "").TrimEnd('/').Split('/') switch
        {
            ["sweeps"] => ["GET", "HEAD", "POST"],
            ["sweeps", "delete"] => ["GET", "HEAD", "POST", "DELETE"], // an id like any other, but for POST
            ["sweeps", _] => ["GET", "HEAD", "DELETE"],
            ["sweeps", _, "request" or "events" or "patterns" or "circuit"] or ["sweeps", _, "circuit" or "edges", _] => ["GET", "HEAD"],
            ["sweeps", _, var part] when SweepPart.All.Any(known => known.Route == part) => ["GET", "HEAD"],
            ["series"] => ["GET", "HEAD", "POST"],
            ["series", _] => ["GET", "HEAD", "DELETE"],
            ["series", _, "results" or "report"] => ["GET", "HEAD"],
            ["models" or "health" or "openapi.json" or "compare"] or ["health", "live"] or ["compare", "page"] => ["GET", "HEAD"],
            _ => [],
        });
}
