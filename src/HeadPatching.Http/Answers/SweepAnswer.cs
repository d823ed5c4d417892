using System.Text.Json.Serialization;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Http.Requests;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Http.Answers;

/// <summary>A sweep and where it stands.</summary>
public sealed record SweepAnswer
{
    /// <summary>Its id.</summary>
    public required string Id { get; init; }

    /// <summary>Where it stands.</summary>
    public required SweepState Status { get; init; }

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>The dataset's name.</summary>
    public required string Dataset { get; init; }

    /// <summary>What is patched; absent of a damaged sweep.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Patch? Patch { get; init; }

    /// <summary>What it does in a few words; absent of sweeps of versions that had none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Title { get; init; }

    /// <summary>The name that its request gives it; absent where it gives none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }

    /// <summary>How many pairs; absent until that is known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Pairs { get; init; }

    /// <summary>Where it patches; absent of sweeps of versions that did not keep it, as the three that follow.</summary>
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

    /// <summary>What the circuit is made of that it looks for and proves; absent where it has none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CircuitOf? Circuit { get; init; }

    /// <summary>The head with the largest |effect|; absent until it is completed, and of sweeps of versions that did not keep it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public HeadEffect? Strongest { get; init; }

    /// <summary>
    /// The effects to two decimals, [layer][head], for a small picture: of more than 32 layers or heads the strongest of each block of neighbours.
    /// Absent as <c>strongest</c> is.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[][]? SmallHeatmap { get; init; }

    /// <summary>When it was asked for.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it ended; absent before.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>How far it is.</summary>
    public required SweepProgress Progress { get; init; }

    /// <summary>Why it failed, or what of it is damaged; absent otherwise.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SweepErrorAnswer? Error { get; init; }

    /// <summary>Where its parts are.</summary>
    public required SweepLinks Links { get; init; }

    /// <summary>A status as an answer has it.</summary>
    /// <param name="status">The status.</param>
    /// <param name="digest">What is kept of its result; null where there is none.</param>
    /// <param name="pathBase">What comes before <c>/api</c>.</param>
    public static SweepAnswer Of(SweepStatus status, SweepDigest? digest, string pathBase) => new()
    {
        Id = status.Id,
        Status = status.Status,
        Model = status.Model,
        Dataset = status.Dataset,
        Patch = status.Patch,
        Title = status.Title,
        Name = status.Name,
        Pairs = digest?.Pairs ?? status.Pairs,
        Positions = status.Positions,
        Direction = status.Direction,
        Metric = status.Metric,
        Dtype = status.Dtype,
        Circuit = status.Circuit,
        Strongest = digest?.Strongest,
        SmallHeatmap = digest?.Heatmap,
        CreatedAt = status.CreatedAt,
        FinishedAt = status.FinishedAt,
        Progress = status.Progress,
        Error = status.Error is { } error
            ? new SweepErrorAnswer(FirstLine(error.Message), error.Faults.Count, [.. error.Faults.Take(FaultList.Listed).Select(FaultAnswer.Of)])
            : null,
        Links = SweepLinks.Of(status.Id, pathBase),
    };

    /// <summary>The exceptions of storage services go on for a page.</summary>
    internal static string FirstLine(string message) => message.Split('\n')[0].TrimEnd();
}
