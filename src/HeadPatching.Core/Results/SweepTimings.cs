using System.Text.Json.Serialization;

namespace HeadPatching.Core.Results;

/// <summary>Where the time of a sweep went.</summary>
/// <param name="StartedAt">When it started.</param>
/// <param name="FinishedAt">When it was assembled.</param>
/// <param name="CacheSeconds">Seconds in clean and corrupted runs.</param>
/// <param name="PatchSeconds">Seconds in patched runs, added up over activities.</param>
/// <param name="PatchedRuns">How many patched runs were made: heads x pairs (x positions).</param>
public sealed record SweepTimings(
    DateTimeOffset StartedAt, DateTimeOffset FinishedAt, double CacheSeconds, double PatchSeconds, long PatchedRuns)
{
    /// <summary>Activities that it took; absent where there was no store.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Activities { get; init; }

    /// <summary>Runs of a band of layers over a chunk of pairs that it is made of.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Runs { get; init; }

    /// <summary>Of those, how many were in the store already.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? RunsReused { get; init; }

    /// <summary>Bytes of activations and runs that were read from the store.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? BytesRead { get; init; }

    /// <summary>Bytes of activations and runs that were written to it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? BytesWritten { get; init; }
}
