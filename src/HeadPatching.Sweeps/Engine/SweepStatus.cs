using System.Text.Json.Serialization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Sweeps.Engine;

/// <summary>Where a sweep stands, as it is stored and shown.</summary>
public sealed record SweepStatus
{
    /// <summary>The form that this version writes, and the newest that it reads.</summary>
    public const int NewestSchema = 1;

    /// <summary>The form of the stored status.</summary>
    public int SchemaVersion { get; init; } = NewestSchema;

    /// <summary>The sweep's id.</summary>
    public required string Id { get; init; }

    /// <summary>Where it stands.</summary>
    public required SweepState Status { get; init; }

    /// <summary>
    /// Which run of the sweep this is about: 1 for the first, one more each time that an engine takes it up again. Of two engines that write,
    /// the one with the higher run is the owner.
    /// </summary>
    public int Run { get; init; }

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>The dataset's name.</summary>
    public required string Dataset { get; init; }

    /// <summary>What is patched; null of a damaged sweep.</summary>
    public required Patch? Patch { get; init; }

    /// <summary>What it does in a few words; absent in the statuses of versions that had none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Title { get; init; }

    /// <summary>The name that the request gives it; null where it gives none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }

    /// <summary>How many pairs it is asked to sweep, where the request says so; null otherwise.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Pairs { get; init; }

    /// <summary>Where it patches; null in the statuses of versions before this, as the three that follow.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Positions? Positions { get; init; }

    /// <summary>Which run it patches.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Direction? Direction { get; init; }

    /// <summary>What it measures.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Metric? Metric { get; init; }

    /// <summary>The type it computes in.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Dtype { get; init; }

    /// <summary>What the circuit is made of that it looks for and proves; null where it has none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CircuitOf? Circuit { get; init; }

    /// <summary>When it was asked for.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it ended; null before.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>How far it is.</summary>
    public required SweepProgress Progress { get; init; }

    /// <summary>Why it failed, or what is damaged; null otherwise.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SweepError? Error { get; init; }

    /// <summary>Whether nothing more will become of it by itself.</summary>
    [JsonIgnore]
    public bool HasEnded => Status is not (SweepState.Queued or SweepState.Running);

    /// <summary>The status of a sweep that was just asked for.</summary>
    public static SweepStatus Queued(StoredRequest stored) => new()
    {
        Id = stored.SweepId,
        Status = SweepState.Queued,
        Model = stored.Request.Model,
        Dataset = stored.Request.DatasetName(),
        Patch = stored.Request.Patch,
        Title = SweepTitle.Of(stored.Request.Patch, stored.Request.Ablation, stored.Request.Receivers, stored.Request.Method),
        Name = stored.Request.Name,
        Pairs = stored.Request.PairIndices?.Count ?? stored.Request.Pairs?.Count ?? stored.Request.Count,
        Positions = stored.Request.Positions,
        Direction = stored.Request.RunPatched(),
        Metric = stored.Request.Measured(),
        Dtype = stored.Request.Dtype,
        Circuit = stored.Request.Circuit,
        CreatedAt = stored.CreatedAt,
        Progress = new SweepProgress(SweepPhase.Planning),
    };

    /// <summary>The status of a sweep of which nothing can be read.</summary>
    /// <param name="sweepId">Its id.</param>
    /// <param name="reason">Which artifact is damaged, and how.</param>
    /// <param name="writtenAt">When the oldest of its artifacts was written.</param>
    public static SweepStatus Damaged(string sweepId, string reason, DateTimeOffset writtenAt) => new()
    {
        Id = sweepId,
        Status = SweepState.Damaged,
        Model = "unknown",
        Dataset = "unknown",
        Patch = null,
        Title = "Damaged",
        CreatedAt = writtenAt,
        Progress = new SweepProgress(SweepPhase.Planning),
        Error = new SweepError(reason, []),
    };

    /// <summary>
    /// Whether this may be stored in place of an earlier status. A status never goes back: what has ended stays as it is, a run that another
    /// engine has taken over writes no more, and within a run a sweep goes from queued over running to its end.
    /// </summary>
    public bool Follows(SweepStatus earlier) =>
        !earlier.HasEnded && (Run > earlier.Run || (Run == earlier.Run && (HasEnded || Status >= earlier.Status)));
}

/// <summary>Where a sweep stands.</summary>
public enum SweepState
{
    /// <summary>Asked for, not started.</summary>
    Queued,

    /// <summary>Running, or waiting for its host to come back.</summary>
    Running,

    /// <summary>Its result is there.</summary>
    Completed,

    /// <summary>It ended without a result; its status says why.</summary>
    Failed,

    /// <summary>It was asked to stop.</summary>
    Cancelled,

    /// <summary>Its request or status in the store cannot be read; its error names the artifact. It can only be deleted.</summary>
    Damaged,
}

/// <summary>Why a sweep failed.</summary>
/// <param name="Message">One sentence.</param>
/// <param name="Faults">What was wrong with the input, where that is why; otherwise empty.</param>
public sealed record SweepError(string Message, IReadOnlyList<Fault> Faults)
{
    /// <summary>The message where the input is why.</summary>
    public const string InvalidRequest = "The request cannot be swept.";
}
