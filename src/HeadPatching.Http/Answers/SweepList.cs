using System.Text.Json.Serialization;

namespace HeadPatching.Http.Answers;

/// <summary>A page of the sweeps that there are.</summary>
/// <param name="Sweeps">Newest first.</param>
/// <param name="Total">How many sweeps there are on all pages.</param>
/// <param name="UnderWay">How many of those are queued or running.</param>
/// <param name="Next">The next page; absent on the last.</param>
public sealed record SweepList(
    IReadOnlyList<SweepAnswer> Sweeps,
    int Total,
    int UnderWay,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Next = null);
