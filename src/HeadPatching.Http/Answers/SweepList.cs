using System.Text.Json.Serialization;

namespace HeadPatching.Http.Answers;

/// <summary>A page of the sweeps that are asked for.</summary>
/// <param name="Sweeps">Newest first.</param>
/// <param name="Total">How many there are on all pages.</param>
/// <param name="UnderWay">How many of those are queued or running.</param>
/// <param name="Next">The address of the next page; absent on the last.</param>
/// <param name="ContinuationToken">Where this page ends, to ask for the next; absent on the last.</param>
public sealed record SweepList(
    IReadOnlyList<SweepAnswer> Sweeps,
    int Total,
    int UnderWay,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Next = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? ContinuationToken = null);
