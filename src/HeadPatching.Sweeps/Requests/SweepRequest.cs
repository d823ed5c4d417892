using System.Text.Json.Serialization;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Sweeps.Requests;

/// <summary>What a sweep is asked to do: the body of POST /api/sweeps, and what the command line's options become.</summary>
public sealed record SweepRequest
{
    /// <summary>The share of pairs that are held out where nothing else is said.</summary>
    internal const double DefaultHoldout = 0.3;

    /// <summary>The steps of EAP-IG where nothing else is said, as its authors take.</summary>
    internal const int DefaultEdgeSteps = 5;

    /// <summary>The edges that are patched after the estimate where nothing else is said.</summary>
    internal const int DefaultEdgeTop = 200;

    internal static ProofOptions DefaultProof { get; } = new();

    internal static AdaptiveOptions DefaultAdaptive { get; } = new();

    /// <summary>The model's name as the host knows it (<c>ioi-demo</c>), or on the command line a folder. Default: the demo model.</summary>
    public string Model { get; init; } = "ioi-demo";

    /// <summary>A built-in dataset's name. Default where there are no <c>pairs</c>: <c>ioi</c>.</summary>
    public string? Dataset { get; init; }

    /// <summary>The pairs, where they are not a built-in dataset's; one of the two, not both.</summary>
    public IReadOnlyList<PromptPair>? Pairs { get; init; }

    /// <summary>Pairs that lie in the store under this name (<see cref="StoredPairs"/>), instead of <c>dataset</c> or <c>pairs</c>.</summary>
    public string? PairsFile { get; init; }

    /// <summary>How many pairs a generated dataset makes, 1 to 1,000,000. Default: 20. Only generated datasets take it.</summary>
    public int? Count { get; init; }

    /// <summary>Seed of everything drawn at random, such as a generated dataset's pairs.</summary>
    public int Seed { get; init; }

    /// <summary>What lists call the sweep, and what its result calls <c>pairs</c>, such as their file's name; null: nothing, and <c>pairs</c>.</summary>
    public string? Name { get; init; }

    /// <summary>Only these pairs, by index; null: all.</summary>
    public IReadOnlyList<int>? PairIndices { get; init; }

    /// <summary>Whether pairs that cannot be swept are left out and said; otherwise one of them refuses the sweep.</summary>
    public bool SkipInvalid { get; init; }

    /// <summary>Whether text prompts begin with the model's BOS.</summary>
    public Bos Bos { get; init; }

    /// <summary>Which activation is replaced.</summary>
    public Patch Patch { get; init; } = Patch.Z;

    /// <summary>What is put in place of z instead of the other run's: zeros, its value bias, its mean over other pairs, or another pair's; null: the other run's.</summary>
    public Ablation? Ablation { get; init; }

    /// <summary>
    /// With mean and resample ablation: the prompts that means are over and donors are drawn from, the corrupted ones of a dataset (by its name) or
    /// of pairs; null: the swept pairs' own runs, each pair's without itself.
    /// </summary>
    public ReferencePrompts? Reference { get; init; }

    /// <summary>
    /// How effects are found: every patch run, all estimated from one gradient (attribution), estimated and the largest run (screen), or heads run on pair after pair until it is decided
    /// which are above the threshold (adaptive).
    /// </summary>
    public Method Method { get; init; } = Method.Exact;

    /// <summary>
    /// With the methods <c>attribution</c>, <c>screen</c> and <c>adaptive</c>, which gradient estimates are made of. Default: frozen-norms, in which the scale of
    /// every norm is held fixed; plain is the tangent.
    /// </summary>
    public Gradient? Gradient { get; init; }

    /// <summary>With method <c>screen</c>, how many heads are run after the estimate. At least 1. Default: 10.</summary>
    public int? ScreenTop { get; init; }

    /// <summary>With method <c>adaptive</c>, the share of sweeps in which the intervals of all heads hold; with edges <c>adaptive</c>, those of all edges. Between 0 and 1. Default: 0.95.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Confidence { get; init; }

    /// <summary>With method <c>adaptive</c>, the width of a head's interval that ends its runs too; null: only a decision does.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Width { get; init; }

    /// <summary>
    /// Path patching: only the paths from each head to these are patched, <c>logits</c> or inputs of heads such as <c>L9H6.q</c>; null: heads are
    /// patched for all that reads them.
    /// </summary>
    public IReadOnlyList<Receiver>? Receivers { get; init; }

    /// <summary>With receivers: whether MLPs stay as they are in the run that is patched; otherwise they are recomputed.</summary>
    public bool FreezeMlps { get; init; }

    /// <summary>With receivers: whether MLPs and the embedding send as well as heads.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public Senders Senders { get; init; }

    /// <summary>Sets of nodes to be patched together, beside the heads one at a time, such as <c>L9H6,L9H9,M8</c>; null: none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? PatchSets { get; init; }

    /// <summary>How the effect of every edge is found, beside the heads'; null: edges are not looked at.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public EdgeMethod? Edges { get; init; }

    /// <summary>With edges <c>attribution-ig</c>, <c>screen</c> and <c>adaptive</c>: how many gradients between the runs. Default: 5.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? EdgeSteps { get; init; }

    /// <summary>With edges <c>screen</c>: how many are patched after the estimate. At least 1. Default: 200.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? EdgeTop { get; init; }

    /// <summary>With edges: whether keys and values are those of query heads, also where these share them, as EAP-IG counts.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool EdgesUngrouped { get; init; }

    /// <summary>Whether the fewest nodes that do the task together are looked for when the heads are ranked, and proved; null: no.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CircuitOf? Circuit { get; init; }

    /// <summary>With a circuit: these nodes are proved, instead of such as are looked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? CircuitGiven { get; init; }

    /// <summary>With a circuit: the sizes at which circuits are measured, in nodes; null: MIB's ten shares of all nodes.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? CircuitSizes { get; init; }

    /// <summary>With a circuit: random circuits of each size. Default: 100.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? CircuitRandom { get; init; }

    /// <summary>With a circuit: the share of pairs that it is proved on and not looked for on. Default: 0.3.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? CircuitHoldout { get; init; }

    /// <summary>With a circuit: how far from 1 the faithfulness of the one that is looked for may be. Default: 0.02.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? CircuitTolerance { get; init; }

    /// <summary>With a circuit: of the random circuits, and of which pairs are held out. Default: the sweep's seed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? CircuitSeed { get; init; }

    /// <summary>Where.</summary>
    public Positions Positions { get; init; } = Positions.All;

    /// <summary>Which run is patched. Default (null): denoise, the corrupted one; noise, the clean one, for an ablation.</summary>
    public Direction? Direction { get; init; }

    /// <summary>What is measured at the last position. Default (null): logit-difference, or with token weights token-weights.</summary>
    public Metric? Metric { get; init; }

    /// <summary>
    /// With metric <c>token-weights</c>: what each token's logit counts, by its text as in the middle of a text (<c>" he"</c>) or by its id
    /// (<c>"#339"</c>); null with every other metric.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] // so that a request without them is written as before there were any
    public IReadOnlyDictionary<string, double>? TokenWeights { get; init; }

    /// <summary>How pairs come together.</summary>
    public Aggregation Aggregation { get; init; } = Aggregation.WellConditionedMean;

    /// <summary>Heads with |effect| above it are important, unless their interval holds 0. From 0 on.</summary>
    public double Threshold { get; init; } = 0.1;

    /// <summary>How many heads a ranked table shows. At least 1. The result has all heads whatever it is.</summary>
    public int Top { get; init; } = 20;

    /// <summary>float32, float64, bfloat16 or float16.</summary>
    public string Dtype { get; init; } = "float32";

    /// <summary>auto, cpu or cuda; auto is cuda where there is one.</summary>
    public string Device { get; init; } = "auto";

    /// <summary>Where the model's weights are while it computes. It changes no number.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public WeightPlace Weights { get; init; }

    /// <summary>The memory that patching may take beside the weights, in MiB. At least 1. Default: 1024.</summary>
    public int MemoryMiB { get; init; } = 1024;

    /// <summary>Over HTTP: where to say that the sweep has ended, however it did; null: nowhere. No part of what the sweep is.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Callback { get; init; }

    /// <summary>The dataset's name in the result.</summary>
    public string DatasetName() => Pairs is null && PairsFile is null ? Dataset ?? "ioi" : Name ?? PairsFile ?? "pairs";

    /// <summary>What is patched, where and which way.</summary>
    public PatchOptions PatchOptions() => new() { Patch = Patch, Ablation = Ablation, Positions = Positions, Direction = RunPatched(), Seed = Seed };

    /// <summary>With path patching, the paths; null otherwise.</summary>
    public PathOptions? PathOptions() => Receivers is null
        ? null
        : new PathOptions { Receivers = Receivers, FreezeMlps = FreezeMlps, Positions = Positions, Direction = RunPatched() };

    /// <summary>Which gradient estimates are made of; null where none are made: with the method <c>exact</c>, and with <c>adaptive</c> where there can be none.</summary>
    public Gradient? EstimatedFrom() => Method == Method.Exact || (Method == Method.Adaptive && !HasEstimates()) ? null : Gradient ?? Core.Patching.Attribution.Gradient.FrozenNorms;

    /// <summary>Whether the method is none without estimates.</summary>
    internal bool NeedsEstimates() => Method is Method.Attribution or Method.Screen;

    /// <summary>Whether effects can be estimated from a gradient.</summary>
    internal bool HasEstimates() => Ablation is null
        && Receivers is null
        && AttributionRun.Patches.Contains(Patch)
        && Measured() != Core.Metrics.Metric.Rank
        && (Measured() != Core.Metrics.Metric.KlDivergence || RunPatched() == Core.Patching.Direction.Denoise);

    /// <summary>With method <c>adaptive</c>, what is asked; null otherwise.</summary>
    public AdaptiveOptions? AdaptiveOptions() => Method == Method.Adaptive
        ? new AdaptiveOptions { Threshold = Threshold, Confidence = Confidence ?? DefaultAdaptive.Confidence, Width = Width, Seed = Seed }
        : null;

    /// <summary>With method <c>screen</c>, how many heads are run after the estimate; null otherwise.</summary>
    public int? HeadsRunAfterScreen() => Method == Method.Screen ? ScreenTop ?? 10 : null;

    /// <summary>Whether sets of nodes, paths from other senders or edges are patched after the heads.</summary>
    public bool RunsSets() => PatchSets is not null || Senders == Senders.All || Edges is not null || Circuit is not null;

    /// <summary>With edges, how they are found; null otherwise.</summary>
    public EdgeWork? EdgeWork() => Edges is not EdgeMethod method ? null : new EdgeWork(method, method.HasSteps() ? EdgeSteps ?? DefaultEdgeSteps : 1, EdgesUngrouped)
    {
        Top = method == EdgeMethod.Screen ? EdgeTop ?? DefaultEdgeTop : null,
        Threshold = method == EdgeMethod.Adaptive ? Threshold : null,
        Confidence = method == EdgeMethod.Adaptive ? Confidence ?? DefaultAdaptive.Confidence : null,
    };

    /// <summary>With a circuit, how it is looked for and proved; null otherwise.</summary>
    public ProofOptions? ProofOptions() => Circuit is null ? null : new ProofOptions
    {
        Sizes = CircuitSizes,
        Random = CircuitRandom ?? DefaultProof.Random,
        Seed = CircuitSeed ?? Seed,
        Tolerance = CircuitTolerance ?? DefaultProof.Tolerance,
        Circuit = CircuitGiven is null ? null : [.. PatchSet.Parse(CircuitGiven, "circuitGiven", []).Nodes.Select(patched => patched.Node)],
    };

    /// <summary>What is measured.</summary>
    public Metric Measured() => Metric ?? (TokenWeights is null ? Core.Metrics.Metric.LogitDifference : Core.Metrics.Metric.TokenWeights);

    /// <summary>The same request with the default that it may leave unsaid: as requests are compared, for versions before token weights stored it.</summary>
    public SweepRequest Said() => this with { Metric = Measured() };

    /// <summary>Which run is patched.</summary>
    public Direction RunPatched() => Direction ?? (Ablation is null ? Core.Patching.Direction.Denoise : Core.Patching.Direction.Noise);
}

/// <summary>Where a model's weights are while it computes.</summary>
public enum WeightPlace
{
    /// <summary>Resident where they fit beside what patching takes, otherwise streamed.</summary>
    Auto,

    /// <summary>All in memory.</summary>
    Resident,

    /// <summary>In the model's files, from which each layer is read when it is used: two layers in memory at a time.</summary>
    Streamed,
}

/// <summary>The nodes that circuits are made of.</summary>
public enum CircuitOf
{
    /// <summary>Heads; MLPs are left to themselves.</summary>
    Heads,

    /// <summary>Heads and MLPs.</summary>
    HeadsAndMlps,
}
