using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Results;

/// <summary>What a result says of its sweep beside the numbers.</summary>
public sealed record SweepDescription
{
    /// <summary>The sweep's id.</summary>
    public required string SweepId { get; init; }

    /// <summary>The model.</summary>
    public required ModelSummary Model { get; init; }

    /// <summary>The dataset's name.</summary>
    public required string Dataset { get; init; }

    /// <summary>The name of the prompts that the options' references are; null where there are none.</summary>
    public string? Reference { get; init; }

    /// <summary>What was patched, where and which way.</summary>
    public required PatchOptions Options { get; init; }

    /// <summary>How the effects were found.</summary>
    public Method Method { get; init; } = Method.Exact;

    /// <summary>With the methods <c>attribution</c> and <c>screen</c>, which gradient the estimates were made of.</summary>
    public Gradient? Gradient { get; init; }

    /// <summary>With the method <c>screen</c>, how many heads were run after the estimate.</summary>
    public int? ScreenTop { get; init; }

    /// <summary>With the method <c>adaptive</c>, what was decided.</summary>
    public AdaptiveFindings? Adaptive { get; init; }

    /// <summary>With path patching, the paths.</summary>
    public PathOptions? Paths { get; init; }

    /// <summary>How pairs come together.</summary>
    public Aggregation Aggregation { get; init; } = Aggregation.WellConditionedMean;

    /// <summary>Heads with |effect| above it are listed as important, unless their interval holds 0.</summary>
    public double Threshold { get; init; } = 0.1;

    /// <summary>What was measured.</summary>
    public required IMetric Metric { get; init; }

    /// <summary>Of everything that is drawn at random.</summary>
    public int Seed { get; init; }

    /// <summary>Whether texts began with BOS; null where that was as the model's family has it.</summary>
    public Bos? Bos { get; init; }

    /// <summary>What was to be warned of before anything was run, such as pairs that were left out.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>When the sweep started.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>When it was put together.</summary>
    public required DateTimeOffset FinishedAt { get; init; }

    /// <summary>HeadPatching's version.</summary>
    public required string SoftwareVersion { get; init; }
}
