using System.Text.Json.Serialization;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Sweeps.Engine;

/// <summary>Where a sweep stands, as it is stored and shown.</summary>
public sealed record SweepStatus
{
    /// <summary>The sweep's id.</summary>
    public required string Id { get; init; }

    /// <summary>Where it stands.</summary>
    public required SweepState Status { get; init; }

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>The dataset's name.</summary>
    public required string Dataset { get; init; }

    /// <summary>What is patched.</summary>
    public required Patch Patch { get; init; }

    /// <summary>What it does in a few words; absent in the statuses of versions that had none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Title { get; init; }

    /// <summary>When it was asked for.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it ended; null before.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>How far it is.</summary>
    public required SweepProgress Progress { get; init; }

    /// <summary>Why it failed; null otherwise.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SweepError? Error { get; init; }

    /// <summary>Whether it has ended.</summary>
    [JsonIgnore]
    public bool HasEnded => Status is SweepState.Completed or SweepState.Failed or SweepState.Cancelled;

    /// <summary>The status of a sweep that was just asked for.</summary>
    public static SweepStatus Queued(StoredRequest stored) => new()
    {
        Id = stored.SweepId,
        Status = SweepState.Queued,
        Model = stored.Request.Model,
        Dataset = stored.Request.DatasetName(),
        Patch = stored.Request.Patch,
        Title = SweepTitle.Of(stored.Request.Patch, stored.Request.Ablation, stored.Request.Receivers, stored.Request.Method),
        CreatedAt = stored.CreatedAt,
        Progress = new SweepProgress(SweepPhase.Planning),
    };
}
