using System.Text.Json.Serialization;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Results;

/// <summary>A finished sweep: what results.json holds.</summary>
public sealed record SweepResult
{
    /// <summary>The most pairs that a result holds with their own numbers; of more, all of them are in <see cref="PairsFile"/>.</summary>
    public const int MostPairs = 1000;

    /// <summary>
    /// The version of this schema: 1, or 2 where <c>pairs</c> is empty because there are more than <see cref="MostPairs"/>. Members may be added within
    /// a version; a changed or removed one makes a new version.
    /// </summary>
    public int SchemaVersion { get; init; } = 1;

    /// <summary>The sweep's id.</summary>
    public required string SweepId { get; init; }

    /// <summary>The model that was swept.</summary>
    public required ModelSummary Model { get; init; }

    /// <summary>The prompts that it was swept on.</summary>
    public required DatasetSummary Dataset { get; init; }

    /// <summary>Which activation was replaced.</summary>
    public required Patch Patch { get; init; }

    /// <summary>What was put in instead of the other run's activation; absent where it was the other run's.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Ablation? Ablation { get; init; }

    /// <summary>What was put in, in words; absent where it was the other run's.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? AblationDetails { get; init; }

    /// <summary>The prompts whose z means are over or donors were drawn from; absent where those were the pairs themselves.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DatasetSummary? Reference { get; init; }

    /// <summary>How the effects were found.</summary>
    public Method Method { get; init; }

    /// <summary>
    /// With the methods <c>attribution</c>, <c>screen</c> and <c>adaptive</c>, which gradient the estimates were made of: <c>frozen-norms</c>, in which the scale of
    /// every norm is held fixed, or <c>plain</c>. Absent in results of versions that had the plain one alone.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Gradient? Gradient { get; init; }

    /// <summary>With the method <c>screen</c>, how many heads were run after the estimate.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? ScreenTop { get; init; }

    /// <summary>With the method <c>adaptive</c>, what was decided and by how many runs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public AdaptiveSummary? Adaptive { get; init; }

    /// <summary>With path patching, where the paths from each head end; absent where heads are patched for all that reads them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<Receiver>? Receivers { get; init; }

    /// <summary>With path patching, whether MLPs stayed as they are in the run that is patched; otherwise they were recomputed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? FreezeMlps { get; init; }

    /// <summary>Whether texts began with the model's BOS, <c>always</c> or <c>never</c>; absent where that was as the model's family has it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Bos? Bos { get; init; }

    /// <summary>Where it was replaced.</summary>
    public required Positions Positions { get; init; }

    /// <summary>Which run was patched.</summary>
    public required Direction Direction { get; init; }

    /// <summary>The metric's name, such as <c>logit-difference</c>.</summary>
    public required string Metric { get; init; }

    /// <summary>What the metric is; absent in results of versions that had only one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MetricDetails? MetricDetails { get; init; }

    /// <summary>
    /// The formula of <c>patchingEffect</c> for this direction, such as <c>(patched - corrupted) / (clean - corrupted)</c>: 0 is the run that is
    /// patched, 1 the run whose activation is put in, whatever the metric. Absent in results of versions before it.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Normalisation { get; init; }

    /// <summary>How pairs were brought together.</summary>
    public required Aggregation Aggregation { get; init; }

    /// <summary>The threshold of <c>importantHeads</c>.</summary>
    public required double Threshold { get; init; }

    /// <summary>The seed of everything that is drawn at random: the same seed, the same numbers.</summary>
    public int Seed { get; init; }

    /// <summary>What kind of interval each <c>confidenceInterval</c> is, in words; absent in results of versions before it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Intervals { get; init; }

    /// <summary>How each <c>jointInterval</c> and <c>inTop</c> came about; absent over fewer than five pairs, and in results of versions before it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JointIntervals? JointIntervals { get; init; }

    /// <summary>Mean of the clean run's metric over all pairs; absent in results of versions before it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? CleanMetric { get; init; }

    /// <summary>Mean of the corrupted run's metric over all pairs; absent in results of versions before it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? CorruptedMetric { get; init; }

    /// <summary>Every head (or key/value head, or layer as a whole), layer by layer.</summary>
    public required IReadOnlyList<HeadResult> Heads { get; init; }

    /// <summary>The effects, [layer][head]; one column where layers are patched as a whole.</summary>
    public required double[][] Heatmap { get; init; }

    /// <summary>With positions <c>each</c> and pairs of one length: the mean effects, [layer][position][head].</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[][][]? HeatmapByPosition { get; init; }

    /// <summary>With positions <c>each</c> or <c>each-role</c>: the roles that pairs name, and how many pairs name each.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<RoleSummary>? Roles { get; init; }

    /// <summary>The mean effects by role, each at the pair's own position of it, [layer][role][head] in the order of <c>roles</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[][][]? HeatmapByRole { get; init; }

    /// <summary>What each part of the model adds directly to the clean run's metric; absent in results of versions before it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DirectLogitAttribution? DirectLogitAttribution { get; init; }

    /// <summary>
    /// The heads with |effect| above <c>threshold</c> whose interval leaves out 0, largest |effect| first; a head without an interval goes
    /// by the threshold alone.
    /// </summary>
    public required IReadOnlyList<HeadResult> ImportantHeads { get; init; }

    /// <summary>
    /// With path patching from all senders: of the embedding and every layer's MLP, each as a set of one node, the paths to the receivers. With positions <c>each</c> and <c>each-role</c> one
    /// after another at every place that the pairs share, such as <c>M3@-1</c> or <c>embed@S2</c>, each over the pairs that have it: positions counted from the end, or roles where those are
    /// asked for or positions are not the same place in all pairs that name some.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<PatchedSet>? Senders { get; init; }

    /// <summary>With patch sets: what each set of nodes, patched together, did.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<PatchedSet>? PatchSets { get; init; }

    /// <summary>With edges: the effect of every one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public EdgeEffects? Edges { get; init; }

    /// <summary>With a circuit: whether some of the nodes together do the task, and the proof of it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ProofSheet? Circuit { get; init; }

    /// <summary>The pairs that have no part in the effects over pairs; absent in results of versions before it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ExcludedPair>? ExcludedPairs { get; init; }

    /// <summary>
    /// Every pair with its own numbers. Of more than <see cref="MostPairs"/> the first of them, and in results.json none: those are in
    /// <see cref="PairsFile"/>.
    /// </summary>
    public required IReadOnlyList<PairResult> Pairs { get; init; }

    /// <summary>The file beside results.json that has the numbers of every pair, always; absent in results of versions before it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? PairsFile { get; init; }

    /// <summary>What a reader should know before trusting the effects, such as that clean and corrupted metric hardly differ.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>Where the time went; the only part that differs between two runs of the same sweep.</summary>
    public required SweepTimings Timings { get; init; }

    /// <summary>What made the result.</summary>
    public required SoftwareSummary Software { get; init; }

    /// <summary>The result as results.json has it.</summary>
    public SweepResult ForFile() => Dataset.Pairs > MostPairs ? this with { SchemaVersion = 2, Pairs = [] } : this;

    /// <summary>How much of what a layer's patches wrote could reach the metric: where nothing could, an effect of 0 says nothing of the heads.</summary>
    /// <param name="layer">The layer.</param>
    public Reach ReachOf(int layer) => Receivers is null
        ? LayerPatchFor.Patch(Patch).Reach(Model.Layers, layer)
        : new PathOptions { Receivers = Receivers }.Reach(Model.Layers, layer);

    /// <summary>What the sweep did in a few words.</summary>
    public string Title() => SweepTitle.Of(Patch, Ablation, Receivers, Method);
}
