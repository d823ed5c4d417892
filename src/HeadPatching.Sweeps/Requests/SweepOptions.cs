using System.Globalization;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Callbacks;
using TorchSharp;

namespace HeadPatching.Sweeps.Requests;

/// <summary>The options of a sweep, in the order of the help.</summary>
public static class SweepOptions
{
    private const int LongestName = 255; // what a file's name may have
    private const int MostSizes = 100;   // of circuits

    private static readonly string[] Generated = [.. BuiltInDatasets.All.Where(dataset => dataset.IsGenerated).Select(dataset => dataset.Name)];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<SweepOption> All { get; } =
    [
        Text("model", "NAME|FOLDER", "A model's name (see 'headpatch model list'), or on the command line a Hugging Face model folder",
            r => r.Model, (r, value) => r with { Model = value! }),
        Text("dataset", "NAME",
            $"A built-in dataset: {string.Join(", ", BuiltInDatasets.All.Select(dataset => dataset.Name))}; see 'headpatch dataset list'",
            r => r.Dataset, (r, value) => r with { Dataset = value }) with
        {
            DefaultText = "ioi",
            Rules = [r => r.Dataset is null || (r.Pairs ?? (object?)r.PairsFile) is null ? null : "Give a dataset or pairs, not both."],
        },
        Of<IReadOnlyList<PromptPair>?>("pairs", new OptionType.PromptPairs(),
            "Your own pairs, on the command line a file of JSON Lines: {\"clean\": \"text\"|[ids], \"corrupted\": ..., \"correct\": \" Mary\"|id|[...], \"incorrect\": ...}; "
            + "or auto-circuit's .json, EAP-IG's .csv",
            r => r.Pairs, (r, value) => r with { Pairs = value }),
        Text("pairsFile", "NAME", "Pairs that 'headpatch dataset push' has put into the store under this name; for more than a request may hold",
            r => r.PairsFile, (r, value) => r with { PairsFile = value }) with
        {
            Rules = [r => r.PairsFile is null || StoredPairs.IsName(r.PairsFile) ? null : StoredPairs.NameForm],
        },
        Text("name", "NAME", "What lists call the sweep, and its result your own pairs, such as their file's name; it changes no number", r => r.Name, (r, value) => r with { Name = value }) with
        {
            Rules = [r => r.Name is null or { Length: > 0 and <= LongestName } ? null : $"A name has 1 to {LongestName} characters."],
        },
        WholeOrNone("count", new(1, BuiltInDatasets.MostPairs), "How many pairs a generated dataset makes", r => r.Count, (r, value) => r with { Count = value }) with
        {
            DefaultText = $"{BuiltInDatasets.DefaultCount}",
            Rules = [r => r.Count is null || MayCount(r) ? null : $"Only a generated dataset takes a number of pairs: {string.Join(", ", Generated)}."],
        },
        Of<IReadOnlyList<int>?>("pairIndices", new OptionType.Indices(), "Only these pairs, from 0", r => r.PairIndices, (r, value) => r with { PairIndices = value }),
        Of("skipInvalid", new OptionType.Flag(), "Leave out pairs that cannot be swept, such as those of unequal length, and say which (otherwise they refuse the sweep)",
            r => r.SkipInvalid, (r, value) => r with { SkipInvalid = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Leave out pairs that cannot be swept",
        },
        Choice("bos", OptionType.Words.Of<Bos>(bos => bos == Bos.Auto ? "as the model's family has it" : null),
            "Whether texts begin with the model's BOS; auto is as its family has it (token ids are taken as they are)", r => r.Bos, (r, value) => r with { Bos = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "BOS before texts",
        },
        Whole("seed", new(), "Seed of everything drawn at random", r => r.Seed, (r, value) => r with { Seed = value }),
        Choice("patch", OptionType.Words.Of<Patch>(LabelOf, patch => patch.IsOfLayer() ? "of each layer as a whole" : "of each head"),
            "Which activation is replaced", r => r.Patch, (r, value) => r with { Patch = value }) with
        {
            Place = FormPlace.Options,
            Label = "Patched activation",
        },
        Of("positions", new OptionType.PatchPositions(), "Where: all at once, each position or role in turn, one position (negative from the end), or each pair's own position of a role",
            r => r.Positions, (r, value) => r with { Positions = value }) with
        {
            Place = FormPlace.Options,
            Label = "Positions",
        },
        ChoiceOrNone("direction", OptionType.Words.Of<Direction>(direction => direction == Direction.Denoise ? "denoise: clean into corrupted" : "noise: corrupted into clean"),
            "Clean into corrupted, or corrupted into clean", r => r.Direction, (r, value) => r with { Direction = value }) with
        {
            DefaultText = "denoise; noise with an ablation",
            Place = FormPlace.Options,
            Label = "Direction",
        },
        ChoiceOrNone("metric", OptionType.Words.Of<Metric>(), "What is measured at the last position", r => r.Metric, (r, value) => r with { Metric = value }) with
        {
            DefaultText = "logit-difference; token-weights with token weights",
            Place = FormPlace.Options,
            Label = "Metric",
            NoneLabel = "logit difference; your own where you give weights",
            Rules =
            [
                r => r.Metric != Metric.TokenWeights || r.TokenWeights is not null ? null : "It is a sum of some tokens' logits: name them and their weights with tokenWeights.",
                r => !r.NeedsEstimates() || r.Metric != Metric.Rank
                    ? null
                    : $"A rank has no gradient, so there is no estimate; the method is {r.Method.NameOf()}. Use the method exact.",
                r => !r.NeedsEstimates() || r.Metric != Metric.KlDivergence || r.RunPatched() == Direction.Denoise
                    ? null
                    : $"At the clean run the divergence from the clean run has no slope, so every estimate would be 0; the method is {r.Method.NameOf()}. Use denoise, or the method exact.",
            ],
        },
        Of<IReadOnlyDictionary<string, double>?>("tokenWeights", new OptionType.TokenWeights(),
            "A metric of your own: the sum of these tokens' logits, each with its weight; tokens by their text with the space before it, or by id as in \"#339\"",
            r => r.TokenWeights, (r, value) => r with { TokenWeights = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Metric of your own: tokens and weights",
            NoneLabel = "\" he\": 1, \" she\": -1",
            Rules = [r => r.TokenWeights is null || r.Measured() == Metric.TokenWeights ? null : $"Only the metric token-weights takes them; metric is {r.Measured().NameOf()}. Leave one of the two out."],
        },
        Choice("aggregation", OptionType.Words.Of<Aggregation>(), "How pairs come together: the mean of their effects over the well-conditioned pairs or over all, or the effect of their means", r => r.Aggregation, (r, value) => r with { Aggregation = value }) with
        {
            Place = FormPlace.Options,
            Label = "Aggregation",
        },
        ChoiceOrNone("ablation", OptionType.Words.Of<Ablation>(LabelOf), "What replaces z instead of the other run's: zeros (of z itself), the head's value bias (TransformerLens's zero), its mean over other pairs, or another pair's",
            r => r.Ablation, (r, value) => r with { Ablation = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Put in",
            NoneLabel = "the other run's activation",
            Rules = [r => r.Ablation is null || r.Patch == Patch.Z ? null : $"An ablation replaces a head's z; patch is {r.Patch.NameOf()}. Leave patch out, or make it z."],
        },
        Of<ReferencePrompts?>("reference", new OptionType.PromptReference(),
            "With ablation mean and resample: the prompts that means are over and donors are drawn from, the corrupted ones of a dataset such as ioi-abc or of pairs; "
            + "none: the swept pairs' own runs, each pair's without itself",
            r => r.Reference, (r, value) => r with { Reference = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Taken from the prompts of",
            NoneLabel = "the other pairs",
            ShownWhen = "ablation",
            Rules = [r => r.Reference is null || r.Ablation is Ablation.Mean or Ablation.Resample ? null : "Only the ablations mean and resample take z from other prompts. Choose one of them, or leave the reference out."],
        },
        Choice("method", OptionType.Words.Of<Method>(LabelOf),
            "Run every patch, estimate all from one gradient, estimate and run the largest, or run heads on pair after pair until it is decided which are above the threshold",
            r => r.Method, (r, value) => r with { Method = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Method",
            Rules =
            [
                r => !r.NeedsEstimates() || r.Ablation is null ? null : $"An ablation has no estimate; the method is {r.Method.NameOf()}. Leave one of the two out.",
                r => !r.NeedsEstimates() || r.Receivers is null ? null : $"A path has no estimate; the method is {r.Method.NameOf()}. Leave one of the two out.",
                r => !r.NeedsEstimates() || AttributionRun.Patches.Contains(r.Patch)
                    ? null
                    : $"Estimates are of {string.Join(", ", AttributionRun.Patches.Select(patch => patch.NameOf()))}; patch is {r.Patch.NameOf()}. Use the method exact.",
                OfAdaptive(r => r.Receivers is null ? null : "The method adaptive decides heads, not paths. Leave receivers out, or use the method exact."),
                OfAdaptive(r => !r.Positions.IsEach && !r.Positions.IsEachRole
                    ? null
                    : $"The method adaptive decides one effect a head; positions is {r.Positions}. Name one position or role, or use the method exact."),
                OfAdaptive(r => r.Aggregation != Aggregation.RatioOfMeans
                    ? null
                    : "The method adaptive takes the mean of the pairs' effects; a ratio of means is none. Choose another aggregation, or use the method exact."),
                OfAdaptive(r => r.Circuit is null ? null : "A circuit is looked for among heads that were run on the same pairs, and the method adaptive stops each when it is decided. Use the method exact or screen."),
            ],
        },
        ChoiceOrNone("gradient", OptionType.Words.Of<Gradient>(gradient => gradient == Gradient.FrozenNorms ? "with the scale of every norm held fixed" : "the plain tangent"),
            "With methods attribution, screen and adaptive: the gradient with every norm's scale held fixed, or the plain one", r => r.Gradient, (r, value) => r with { Gradient = value }) with
        {
            DefaultText = Gradient.FrozenNorms.NameOf(),
            Place = FormPlace.Advanced,
            Label = "Gradient",
            ShownWhen = "method=attribution|screen|adaptive",
            Rules =
            [
                r => r.Gradient is null || r.Method != Method.Exact ? null : "Only the methods attribution, screen and adaptive have a gradient. Name one of them, or leave it out.",
                OfAdaptive(r => r.Gradient is null || r.HasEstimates() ? null : "There are no estimates here, so the method adaptive goes by runs alone. Leave the gradient out."),
            ],
        },
        WholeOrNone("screenTop", new(1), "With method screen: how many heads are run after the estimate", r => r.ScreenTop, (r, value) => r with { ScreenTop = value }) with
        {
            DefaultText = "10",
            Place = FormPlace.Advanced,
            Label = "Heads to run after the estimate",
            ShownWhen = "method=screen",
            Rules = [r => r.ScreenTop is null || r.Method == Method.Screen ? null : "Only the method screen runs some heads after the estimate."],
        },
        Of<double?>("confidence", new OptionType.Number(0), "With method adaptive: the share of sweeps in which the intervals of all heads hold, between 0 and 1; with edges adaptive, those of all edges", r => r.Confidence, (r, value) => r with { Confidence = value }) with
        {
            DefaultText = string.Create(CultureInfo.InvariantCulture, $"{SweepRequest.DefaultAdaptive.Confidence}"),
            Place = FormPlace.Advanced,
            Label = "Confidence, over all heads",
            ShownWhen = "method=adaptive",
            Rules =
            [
                r => r.Confidence is null || r.Method == Method.Adaptive || r.Edges == EdgeMethod.Adaptive ? null : "Only the method adaptive, and edges adaptive, decide with a confidence. Name one of them, or leave this out.",
                r => r.Confidence is null or (> 0 and < 1) ? null : "A confidence is between 0 and 1.",
            ],
        },
        Of<double?>("width", new OptionType.Number(0), "With method adaptive: a head whose interval is no wider is run no more, decided or not", r => r.Width, (r, value) => r with { Width = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Enough when the interval is as narrow as",
            NoneLabel = "run until it is decided",
            ShownWhen = "method=adaptive",
            Rules = [r => r.Width is null || r.Method == Method.Adaptive ? null : "Only the method adaptive ends a head's runs by its interval's width. Name it, or leave this out."],
        },
        Of<IReadOnlyList<Receiver>?>("receivers", new OptionType.PathReceivers(), "Path patching: only the paths from each head to these: the logits, inputs of heads (L9H6.q) or MLPs (L8.mlp)",
            r => r.Receivers, (r, value) => r with { Receivers = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Only the paths to",
            NoneLabel = "everything that reads the head",
            Rules =
            [
                r => r.Receivers is null || r.Patch == Patch.Z ? null : $"A path starts with a head's z; patch is {r.Patch.NameOf()}. Leave patch out, or make it z.",
                r => r.Receivers is null || r.Ablation is null ? null : "Paths carry the other run's z, an ablation puts in something else. Leave one of the two out.",
            ],
        },
        Of("freezeMlps", new OptionType.Flag(), "With receivers: MLPs stay as they are in the patched run (otherwise they are recomputed)",
            r => r.FreezeMlps, (r, value) => r with { FreezeMlps = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Freeze MLPs: leave out paths through them",
            ShownWhen = "receivers",
            Rules = [r => !r.FreezeMlps || r.Receivers is not null ? null : "Only paths can have their MLPs frozen: name receivers, or leave it out."],
        },
        Choice("senders", OptionType.Words.Of<Senders>(senders => senders == Senders.Heads ? "heads" : "heads, MLPs and the embedding"),
            "With receivers: where paths start, at heads alone, or at MLPs (M8) and the embedding (embed) as well", r => r.Senders, (r, value) => r with { Senders = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Paths from",
            ShownWhen = "receivers",
            Rules = [r => r.Senders == Senders.Heads || r.Receivers is not null ? null : "Only paths have senders: name receivers, or leave it out."],
        },
        Of<IReadOnlyList<string>?>("patchSets", new OptionType.NodeSets(),
            "Sets of nodes that are patched together, beside the heads one at a time: heads, MLPs (M8), the embedding (embed), each with @ and a position or a role where it is not patched everywhere",
            r => r.PatchSets, (r, value) => r with { PatchSets = value }) with
        {
            Flag = "--patch-set",
            Place = FormPlace.Advanced,
            Label = "Sets of nodes patched together",
            NoneLabel = "L9H6,L9H9; M8",
        },
        ChoiceOrNone("edges", OptionType.Words.Of<EdgeMethod>(LabelOf),
            "The effect of every edge too, from what one part of the model writes to what another reads: every one patched; estimated from one gradient (EAP) or from several between the runs (EAP-IG); "
            + "estimated and the strongest patched; or each patched on as many pairs as it takes to say whether it is above the threshold",
            r => r.Edges, (r, value) => r with { Edges = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Edges",
            NoneLabel = "no",
            Rules =
            [
                r => r.Edges is null || r.Ablation is null ? null : "An edge carries what the other run's sender writes, an ablation puts in something else. Leave one of the two out.",
                r => r.Edges is null or EdgeMethod.Exact || r.Measured() != Metric.Rank ? null : "A rank has no gradient, so there is no estimate of edges. Use exact.",
                r => r.Edges != EdgeMethod.Adaptive || r.Aggregation != Aggregation.RatioOfMeans
                    ? null
                    : $"Whether an edge is above the threshold is decided by its mean effect; aggregation is {r.Aggregation.NameOf()}. Use {Aggregation.WellConditionedMean.NameOf()} or {Aggregation.MeanOfRatios.NameOf()}, or edges exact.",
            ],
        },
        WholeOrNone("edgeSteps", new(1, 1000), "With edges attribution-ig, screen and adaptive: how many gradients between the two runs the estimates are of", r => r.EdgeSteps, (r, value) => r with { EdgeSteps = value }) with
        {
            DefaultText = $"{SweepRequest.DefaultEdgeSteps}",
            Place = FormPlace.Advanced,
            Label = "Gradients between the runs",
            ShownWhen = "edges=attribution-ig|screen|adaptive",
            Rules = [r => r.EdgeSteps is null || r.Edges?.HasSteps() == true ? null : "Only edges attribution-ig, screen and adaptive have steps. Name one of them, or leave the steps out."],
        },
        WholeOrNone("edgeTop", new(1), "With edges screen: how many edges are patched after the estimate", r => r.EdgeTop, (r, value) => r with { EdgeTop = value }) with
        {
            DefaultText = $"{SweepRequest.DefaultEdgeTop}",
            Place = FormPlace.Advanced,
            Label = "Edges to patch after the estimate",
            ShownWhen = "edges=screen",
            Rules = [r => r.EdgeTop is null || r.Edges == EdgeMethod.Screen ? null : "Only edges screen patch some after the estimate. Name it, or leave the number out."],
        },
        Of("edgesUngrouped", new OptionType.Flag(), "With edges: keys and values are those of query heads, also where these share them, as EAP-IG counts (otherwise those of key/value heads)",
            r => r.EdgesUngrouped, (r, value) => r with { EdgesUngrouped = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Keys and values of each query head by themselves",
            ShownWhen = "edges",
            Rules = [r => !r.EdgesUngrouped || r.Edges is not null ? null : "Only edges are counted so: name them, or leave it out."],
        },
        ChoiceOrNone("circuit", OptionType.Words.Of<CircuitOf>(of => of == CircuitOf.Heads ? "of heads" : "of heads and MLPs"),
            "When the heads are ranked, find the fewest nodes that do the task together, and prove it on pairs they were not chosen on",
            r => r.Circuit, (r, value) => r with { Circuit = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Find the circuit",
            NoneLabel = "no",
            Rules =
            [
                r => r.Circuit is null || (r.Patch == Patch.Z && r.Positions == Positions.All && r.Receivers is null)
                    ? null
                    : "A circuit is made of heads that are ranked by a sweep of z at all positions, without receivers. Leave those out, or the circuit.",
                r => r.Circuit is null || r.Ablation is null || (r.Circuit == CircuitOf.Heads && r.RunPatched() == Direction.Noise)
                    ? null
                    : "With an ablation a circuit is made of heads, of whose clean run all others are ablated: make it of heads, and leave the direction out (noise).",
            ],
        },
        OfCircuit(Of<string?>("circuitGiven", new OptionType.NodeSet(), "With a circuit: prove these nodes, instead of looking for some; on the command line also a file with EAP-IG's graph",
            r => r.CircuitGiven, (r, value) => r with { CircuitGiven = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Nodes to prove",
            NoneLabel = "those that are found",
            ShownWhen = "circuit",
        }),
        OfCircuit(Of<IReadOnlyList<int>?>("circuitSizes", new OptionType.Indices(1, MostSizes, "sizes"),
            "With a circuit: the sizes at which circuits are measured, in nodes", r => r.CircuitSizes, (r, value) => r with { CircuitSizes = value }) with
        {
            DefaultText = "0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50 and 100 % of all nodes",
        }),
        OfCircuit(WholeOrNone("circuitRandom", new(0, 10_000), "With a circuit: random circuits of each size to hold it against", r => r.CircuitRandom, (r, value) => r with { CircuitRandom = value }) with
        {
            DefaultText = $"{SweepRequest.DefaultProof.Random}",
            Place = FormPlace.Advanced,
            Label = "Random circuits of each size",
            ShownWhen = "circuit",
        }),
        OfCircuit(Of<double?>("circuitHoldout", new OptionType.Number(0), "With a circuit: the share of pairs that it is proved on and not looked for on; 0: all are both", r => r.CircuitHoldout, (r, value) => r with { CircuitHoldout = value }) with
        {
            DefaultText = string.Create(CultureInfo.InvariantCulture, $"{SweepRequest.DefaultHoldout}"),
            Place = FormPlace.Advanced,
            Label = "Share of pairs held out",
            ShownWhen = "circuit",
        }, r => r.CircuitHoldout is null or < 1 ? null : "The share of pairs that are held out is from 0 to less than 1."),
        OfCircuit(Of<double?>("circuitTolerance", new OptionType.Number(0), "With a circuit: how far from 1 the faithfulness of the one that is looked for may be", r => r.CircuitTolerance, (r, value) => r with { CircuitTolerance = value }) with
        {
            DefaultText = string.Create(CultureInfo.InvariantCulture, $"{SweepRequest.DefaultProof.Tolerance}"),
            Place = FormPlace.Advanced,
            Label = "Faithfulness within",
            ShownWhen = "circuit",
        }),
        OfCircuit(WholeOrNone("circuitSeed", new(), "With a circuit: seed of the random circuits, and of which pairs are held out", r => r.CircuitSeed, (r, value) => r with { CircuitSeed = value }) with
        {
            DefaultText = "seed",
        }),
        Word("dtype", Dtypes.Names, "The type to compute in", r => r.Dtype, (r, value) => r with { Dtype = value }) with
        {
            Place = FormPlace.Options,
            Label = "Computed in",
            Rules = [r => r.Dtype != "float16" || (r.Device != "cpu" && torch.cuda.is_available()) ? null : "float16 is for GPUs: processors that we know of multiply it slowly. On a CPU take bfloat16, or float32."],
        },
        Word("device", ["auto", "cpu", "cuda"], "Where to compute; auto is cuda where there is one", r => r.Device, (r, value) => r with { Device = value }) with
        {
            Rules = [r => r.Device != "cuda" || torch.cuda.is_available() ? null : "This machine has no CUDA device that this build can use. Use cpu or auto."],
        },
        Choice("weights", OptionType.Words.Of<WeightPlace>(LabelOf),
            "Where the model's weights are: in memory, or in its files, each layer read when it is used, for models larger than the memory; auto is in memory where they fit. It changes no number",
            r => r.Weights, (r, value) => r with { Weights = value }) with
        {
            Place = FormPlace.Advanced,
            Label = "Weights",
        },
        Of("threshold", new OptionType.Number(0), "Heads with |effect| above it are important, unless their interval holds 0", r => r.Threshold, (r, value) => r with { Threshold = value }) with
        {
            Place = FormPlace.Options,
            Label = "Important beyond ±",
        },
        Whole("top", new(1), "How many heads the ranked table shows; results have all", r => r.Top, (r, value) => r with { Top = value }),
        Whole("memoryMiB", new(1), "MiB that patching may take beside the model's weights", r => r.MemoryMiB, (r, value) => r with { MemoryMiB = value }) with { Flag = "--memory" },
        Of("callback", new OptionType.ShortText("URL", CallbackHosts.LongestUrl), "Where to POST how the sweep ended, signed; only to hosts that the server's operator names",
            r => r.Callback, (r, value) => r with { Callback = value }) with
        {
            Flag = null, // a command line sees the end itself
        },
    ];

    /// <summary>The option of a request's property, or null.</summary>
    public static SweepOption? Find(string name) => All.FirstOrDefault(option => option.Name == name);

    /// <summary>The command line's name of a request's property.</summary>
    public static string FlagOf(string name) => Find(name)?.Flag ?? SweepOption.FlagOf(name);

    /// <summary>Whether a request may say how many pairs: of a dataset that does not exist, it does no harm.</summary>
    private static bool MayCount(SweepRequest request) => request.Pairs is null && request.PairsFile is null && BuiltInDatasets.Find(request.DatasetName()) is null or { IsGenerated: true };

    private static string? LabelOf(Patch patch) => patch switch
    {
        Patch.Z => "z, the head's output",
        Patch.Pattern => "pattern, its attention",
        Patch.Q => "q, its queries",
        Patch.K => "k, its keys",
        Patch.V => "v, its values",
        Patch.AttnOut => "attn_out, what its heads write",
        Patch.MlpOut => "mlp_out, what its MLP writes",
        Patch.ResidPre => "resid_pre, the stream before it",
        Patch.ResidMid => "resid_mid, between attention and MLP",
        Patch.ResidPost => "resid_post, the stream after it",
        _ => null,
    };

    private static string? LabelOf(Ablation ablation) => ablation switch
    {
        Ablation.Zero => "zeros",
        Ablation.ValueBias => "its value bias",
        Ablation.Mean => "its mean over others",
        Ablation.Resample => "another pair's",
        _ => null,
    };

    private static string? LabelOf(EdgeMethod method) => method switch
    {
        EdgeMethod.Exact => "patch every one",
        EdgeMethod.Attribution => "estimate all from one gradient (EAP)",
        EdgeMethod.AttributionIg => "estimate all from several (EAP-IG)",
        EdgeMethod.Screen => "estimate all, patch the strongest",
        EdgeMethod.Adaptive => "estimate all, patch each until it is decided",
        _ => null,
    };

    private static string? LabelOf(WeightPlace place) => place switch
    {
        WeightPlace.Auto => "in memory where they fit",
        WeightPlace.Resident => "in memory",
        WeightPlace.Streamed => "read from the files layer by layer",
        _ => null,
    };

    private static string? LabelOf(Method method) => method switch
    {
        Method.Exact => "run every patch",
        Method.Attribution => "estimate all from one gradient",
        Method.Screen => "estimate all, run the strongest",
        Method.Adaptive => "run each head until it is decided",
        _ => null,
    };

    /// <summary>A rule of the method adaptive.</summary>
    private static Func<SweepRequest, string?> OfAdaptive(Func<SweepRequest, string?> rule) => r => r.Method == Method.Adaptive ? rule(r) : null;

    /// <summary>An option that goes with a circuit alone.</summary>
    private static SweepOption OfCircuit(SweepOption option, params Func<SweepRequest, string?>[] rules) => option with
    {
        Rules = [r => option.Get(r) is null || r.Circuit is not null ? null : "Only a circuit takes it: say what circuits are made of with circuit, or leave it out.", .. rules],
    };

    private static SweepOption Of<T>(string name, OptionType type, string help, Func<SweepRequest, T> get, Func<SweepRequest, T, SweepRequest> set) => new()
    {
        Name = name,
        Flag = SweepOption.FlagOf(name),
        Type = type,
        Help = help,
        Get = request => get(request),
        Set = (request, value) => set(request, (T)value!),
    };

    private static SweepOption Text(string name, string form, string help, Func<SweepRequest, string?> get, Func<SweepRequest, string?, SweepRequest> set) =>
        Of(name, new OptionType.ShortText(form), help, get, set);

    private static SweepOption Word(string name, IEnumerable<string> words, string help, Func<SweepRequest, string> get, Func<SweepRequest, string, SweepRequest> set) =>
        Of(name, new OptionType.Words([.. words.Select(word => new OptionWord(word, word, word))]), help, get, set);

    private static SweepOption Whole(string name, OptionType.Whole type, string help, Func<SweepRequest, int> get, Func<SweepRequest, int, SweepRequest> set) =>
        Of(name, type, help, get, set);

    private static SweepOption WholeOrNone(string name, OptionType.Whole type, string help, Func<SweepRequest, int?> get, Func<SweepRequest, int?, SweepRequest> set) =>
        Of(name, type, help, get, set);

    private static SweepOption Choice<T>(string name, OptionType.Words words, string help, Func<SweepRequest, T> get, Func<SweepRequest, T, SweepRequest> set)
        where T : struct, Enum =>
        Of(name, words, help, get, set);

    private static SweepOption ChoiceOrNone<T>(string name, OptionType.Words words, string help, Func<SweepRequest, T?> get, Func<SweepRequest, T?, SweepRequest> set)
        where T : struct, Enum =>
        Of(name, words, help, get, set);
}
