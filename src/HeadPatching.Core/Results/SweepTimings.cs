namespace HeadPatching.Core.Results;

/// <summary>Where the time of a sweep went.</summary>
/// <param name="StartedAt">When it started.</param>
/// <param name="FinishedAt">When it was assembled.</param>
/// <param name="CacheSeconds">Seconds in clean and corrupted runs.</param>
/// <param name="PatchSeconds">Seconds in patched runs, added up over activities.</param>
/// <param name="PatchedRuns">How many patched runs were made: heads x pairs (x positions).</param>
public sealed record SweepTimings(
    DateTimeOffset StartedAt, DateTimeOffset FinishedAt, double CacheSeconds, double PatchSeconds, long PatchedRuns);
