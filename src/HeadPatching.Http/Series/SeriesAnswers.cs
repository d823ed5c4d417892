using System.Text.Json.Serialization;
using HeadPatching.Core.Patching;
using HeadPatching.Http.Answers;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Series;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Http.Series;

/// <summary>The body of POST /api/series: that of POST /api/sweeps, with <c>models</c> in place of <c>model</c>. The OpenAPI document has the other members from there.</summary>
/// <param name="Models">The models' names in the order in which they are shown, 2 to 100 and no two the same.</param>
public sealed record SeriesRequest(IReadOnlyList<string> Models);

/// <summary>The answer to a request that became a series, or was one already.</summary>
/// <param name="Id">The series' id.</param>
/// <param name="Status">Where it stands.</param>
/// <param name="Links">Where its parts are.</param>
public sealed record SeriesAccepted(string Id, SweepState Status, SeriesLinks Links);

/// <summary>Where a series' parts are. All but <c>self</c> answer 409 until it is completed.</summary>
/// <param name="Self">Its status; DELETE cancels what of it is under way, or deletes it with its sweeps.</param>
/// <param name="Results">series.json.</param>
/// <param name="Report">The self-contained page, with a slider over the models.</param>
public sealed record SeriesLinks(string Self, string Results, string Report)
{
    /// <summary>The links of a series.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="pathBase">What comes before <c>/api</c>; mostly nothing.</param>
    public static SeriesLinks Of(string id, string pathBase)
    {
        string self = $"{pathBase}/api/series/{id}";
        return new SeriesLinks(self, $"{self}/results", $"{self}/report");
    }
}

/// <summary>A series and where it stands.</summary>
public sealed record SeriesAnswer
{
    /// <summary>Its id.</summary>
    public required string Id { get; init; }

    /// <summary>
    /// Where it stands: <c>completed</c> when all of its sweeps are. Of one that has ended otherwise, the worst of them says how; <c>damaged</c> also
    /// where a sweep was deleted, which the same request under the same key sweeps anew.
    /// </summary>
    public required SweepState Status { get; init; }

    /// <summary>What each sweep does in a few words.</summary>
    public required string Title { get; init; }

    /// <summary>The name that its request gives; absent where it gives none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }

    /// <summary>The dataset's name.</summary>
    public required string Dataset { get; init; }

    /// <summary>What is patched.</summary>
    public required Patch Patch { get; init; }

    /// <summary>When it was asked for.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When the last of its sweeps ended; absent before.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>How many of its sweeps are completed.</summary>
    public required int Completed { get; init; }

    /// <summary>Its models in their order, each with its sweep.</summary>
    public required IReadOnlyList<SeriesModelAnswer> Models { get; init; }

    /// <summary>Where its parts are.</summary>
    public required SeriesLinks Links { get; init; }

    /// <summary>A status as an answer has it.</summary>
    /// <param name="status">The status.</param>
    /// <param name="pathBase">What comes before <c>/api</c>.</param>
    public static SeriesAnswer Of(SeriesStatus status, string pathBase) => new()
    {
        Id = status.Series.Id,
        Status = status.State,
        Title = status.Series.Title,
        Name = status.Series.Name,
        Dataset = status.Series.Dataset,
        Patch = status.Series.Patch,
        CreatedAt = status.Series.CreatedAt,
        FinishedAt = status.FinishedAt,
        Completed = status.Completed,
        Models = [.. status.Series.Sweeps.Zip(status.Sweeps, (sweep, stands) => SeriesModelAnswer.Of(sweep, stands, pathBase))],
        Links = SeriesLinks.Of(status.Series.Id, pathBase),
    };
}

/// <summary>A model of a series, and its sweep.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="SweepId">The sweep's id.</param>
/// <param name="Sweep">Where that is.</param>
/// <param name="Status">Where it stands; absent where it was deleted.</param>
/// <param name="Progress">How far it is; absent where it was deleted.</param>
/// <param name="Error">Why it failed, or what of it is damaged, in a sentence; absent otherwise. The sweep itself has every fault.</param>
public sealed record SeriesModelAnswer(
    string Model,
    string SweepId,
    string Sweep,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SweepState? Status = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SweepProgress? Progress = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Error = null)
{
    /// <summary>A model as an answer has it.</summary>
    /// <param name="sweep">The model and its sweep.</param>
    /// <param name="status">Where that stands; null where it was deleted.</param>
    /// <param name="pathBase">What comes before <c>/api</c>.</param>
    public static SeriesModelAnswer Of(SeriesSweep sweep, SweepStatus? status, string pathBase) => new(
        sweep.Model,
        sweep.SweepId,
        SweepLinks.Of(sweep.SweepId, pathBase).Self,
        status?.Status,
        status?.Progress,
        status?.Error is { } error ? SweepAnswer.FirstLine(error.Faults is [var fault, ..] ? fault.ToString() : error.Message) : null);
}

/// <summary>A page of the series.</summary>
/// <param name="Series">Newest first.</param>
/// <param name="Total">How many there are on all pages.</param>
/// <param name="Next">The address of the next page; absent on the last.</param>
/// <param name="ContinuationToken">Where this page ends, to ask for the next; absent on the last.</param>
public sealed record SeriesList(
    IReadOnlyList<SeriesAnswer> Series,
    int Total,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Next = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? ContinuationToken = null);
