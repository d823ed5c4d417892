using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>What patching a chunk takes in memory beside the weights, in bytes.</summary>
/// <param name="Activations">The chunk's activations, and what patches make of them.</param>
/// <param name="Streams">The residual streams of the patched runs that go through the layers together.</param>
/// <param name="Step">What a layer makes of those of them that are computed at a time.</param>
public sealed record PatchingBytes(long Activations, long Streams, long Step)
{
    /// <summary>How many passes over the layers are made, where those together are not all.</summary>
    public int Passes { get; init; } = 1;

    /// <summary>How many patched runs, each over all pairs, go through the layers together at the most, where weights are streamed.</summary>
    public long RunsOfPass { get; init; } = 1;

    /// <summary>All of it.</summary>
    public long Total => Activations + Streams + Step;
}

/// <summary>
/// What pieces of a sweep cost, by counting: no device is asked, so that the same sweep is cut the same way everywhere. Floating-point
/// operations are those of the products, a multiplication and an addition each, nothing for norms, activations and sums; divided by the rate
/// of the device's own large product they are the least time that the piece can take.
/// </summary>
public static class Cost
{
    /// <summary>The operations of the two runs over a chunk.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="pairs">The chunk's pairs.</param>
    /// <param name="length">Their length, in tokens.</param>
    /// <param name="start">The first position that is cached of each run; those before are run once for both.</param>
    public static double OfCaching(ModelConfig config, int pairs, int length, int start)
    {
        var one = new Products(config, length);
        int live = length - start, before = config.Layers - 1;                // the layers before the last
        double prefix = (before * one.Layer(start, keys: start)) + (start * (one.Query + one.KeyValue));
        double each = (before * one.Layer(live, length)) + (live * (one.Query + one.KeyValue)) + one.Attention(live, length) + one.Output + one.Mlp;
        return pairs * (prefix + (2 * each));
    }

    /// <summary>The operations of patching a band of layers over a chunk.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="options">What is patched, where and which way.</param>
    /// <param name="chunk">The chunk's pairs, all of one length.</param>
    /// <param name="first">The band's first layer.</param>
    /// <param name="last">Its last.</param>
    public static double OfBand(ModelConfig config, PatchOptions options, IReadOnlyList<TokenPair> chunk, int first, int last)
    {
        var one = new Products(config, chunk[0].Length);
        ILayerPatch patch = LayerPatchFor.Patch(options.Patch);
        StreamPoint point = patch.Point(config);
        int units = Units.Of(config, options.Patch), end = config.Layers - 1;
        double operations = 0;
        foreach (var (place, layer) in CellsOfBand(config, options, chunk, first, last))
        {
            double live = chunk[0].Length - place.Start;
            double own = layer == end && point != StreamPoint.Pre ? 1 : live; // positions of the patched layer that are looked at
            bool everyHead = config.QueryKeyNorm == QueryKeyNorm.AllHeads && (options.Patch is Patch.Q or Patch.K); // each patch changes what all of them do
            double run = options.Patch.IsOfLayer() ? 0 : everyHead ? (own * one.Output) + one.Attention(own, chunk[0].Length) : own * one.Output / units;
            run += point == StreamPoint.Mid ? own * one.Mlp : 0;
            run += one.Suffix(point == StreamPoint.Pre ? layer : layer + 1, live);
            operations += units * chunk.Count * run;
        }

        return operations;
    }

    /// <summary>The patched runs of a band of layers over a chunk, as patching it counts them.</summary>
    /// <inheritdoc cref="OfBand"/>
    public static long RunsOfBand(ModelConfig config, PatchOptions options, IReadOnlyList<TokenPair> chunk, int first, int last) =>
        CellsOfBand(config, options, chunk, first, last).Count() * (long)Units.Of(config, options.Patch) * chunk.Count;

    /// <summary>The operations of patching the paths from the heads of a band of layers over a chunk.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="options">The receivers, where and which way.</param>
    /// <param name="chunk">The chunk's pairs, all of one length.</param>
    /// <param name="first">The senders' first layer.</param>
    /// <param name="last">Their last.</param>
    public static double OfPaths(ModelConfig config, PathOptions options, IReadOnlyList<TokenPair> chunk, int first, int last)
    {
        var one = new Products(config, chunk[0].Length);
        double operations = 0;
        foreach (var (place, layer) in CellsOfPaths(config, options, chunk, first, last))
        {
            Receiver[] receivers = [.. options.Receivers.Where(receiver => receiver.IsAfter(layer))];
            Reach reach = options.Reach(config.Layers, layer);
            bool toLogits = receivers[0].IsLogits;
            int to = toLogits ? config.Layers : receivers.Max(receiver => receiver.Layer); // stage one goes so far
            double live = reach == Reach.LastPosition ? 1 : chunk[0].Length - place.Start;
            double replaced = reach == Reach.LastPosition ? 1 : place.End - place.Start;
            double run = replaced * ((one.Output / config.Heads) + (options.FreezeMlps ? 0 : (to - layer) * one.Mlp));
            if (!toLogits)
            {
                int from = receivers.Min(receiver => receiver.Layer);
                run += receivers.Where(receiver => receiver.Input != ReceiverInput.Mlp).GroupBy(receiver => receiver.Layer).Sum(_ => replaced * (one.Query + one.KeyValue));
                run += one.Suffix(from, live);
            }

            operations += config.Heads * chunk.Count * run;
        }

        return operations;
    }

    /// <summary>The patched runs of the paths from a band of layers over a chunk, as patching them counts them.</summary>
    /// <inheritdoc cref="OfPaths"/>
    public static long RunsOfPaths(ModelConfig config, PathOptions options, IReadOnlyList<TokenPair> chunk, int first, int last) =>
        CellsOfPaths(config, options, chunk, first, last).Count() * (long)config.Heads * chunk.Count;

    /// <summary>The operations of patching edges over a chunk, one run an edge.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="edges">The edges.</param>
    /// <param name="ungrouped">As for <see cref="Edge.All"/>.</param>
    /// <param name="chunk">The chunk's pairs, all of one length.</param>
    /// <param name="start">The first position at which a pair's prompts differ.</param>
    public static double OfEdges(ModelConfig config, IEnumerable<Edge> edges, bool ungrouped, IReadOnlyList<TokenPair> chunk, int start)
    {
        int length = chunk[0].Length, last = config.Layers - 1;
        var one = new Products(config, length);
        return chunk.Count * edges.Sum(Run);

        double Run(Edge edge)
        {
            Receiver receiver = edge.Receiver;
            bool isHead = receiver.Input is not (null or ReceiverInput.Mlp), isLast = receiver.IsLogits || receiver.Layer == last;
            double live = length - start, written = isLast ? 1 : live;        // positions that are read, and those of what is written
            double read = receiver.Input is ReceiverInput.K or ReceiverInput.V ? live : written;
            double run = edge.Sender.Kind == NodeKind.Head ? read * one.Output / config.Heads : 0;
            if (isHead)
            {
                // Where queries or keys are normed all together, those of one change what all heads do.
                int sharing = config.Heads / config.KeyValueHeads;
                double heads = config.QueryKeyNorm == QueryKeyNorm.AllHeads && receiver.Input != ReceiverInput.V ? config.Heads
                    : receiver.Input == ReceiverInput.Q || ungrouped ? 1 : sharing;
                run += read * one.Query / config.Heads;
                run += ((written * one.Output) + one.Attention(written, length)) * heads / config.Heads;
            }

            run += receiver.IsLogits || (isHead && config.ParallelResidual) ? 0 : written * one.Mlp;
            return run + (receiver.IsLogits ? 0 : one.Suffix(receiver.Layer + 1, live));
        }
    }

    /// <summary>The operations of estimating every layer: one run forwards, and backwards twice as much.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="pairs">The chunk's pairs.</param>
    /// <param name="length">Their length, in tokens.</param>
    public static double OfEstimate(ModelConfig config, int pairs, int length) => 3.0 * pairs * config.Layers * new Products(config, length).Layer(length, length);

    /// <summary>The bytes of some of a chunk's cached tensors: those that are written, or those that a piece of a sweep reads.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="dtype">The model's type.</param>
    /// <param name="tensors">The tensors: <see cref="CachedTensor.All"/>, <see cref="NeededTensors"/>.</param>
    /// <param name="pairs">The chunk's pairs.</param>
    /// <param name="length">Their length, in tokens.</param>
    /// <param name="start">The first position that is cached of each run.</param>
    public static long Bytes(ModelConfig config, ScalarType dtype, IEnumerable<CachedTensor> tensors, int pairs, int length, int start) =>
        tensors.Sum(tensor => tensor.Elements(config, pairs, length, start)) * dtype.OfStream().Bytes();

    /// <summary>
    /// The most memory that patching a chunk takes on a CPU beside the weights: the activations, what patches make of them, and the largest batch
    /// of patched runs. On a GPU a batch takes up to half of the card's free memory.
    /// </summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="dtype">The model's type.</param>
    /// <param name="pairs">The chunk's pairs.</param>
    /// <param name="length">Their length, in tokens.</param>
    /// <param name="start">The first position that is cached of each run.</param>
    /// <param name="layers">The band's layers.</param>
    /// <param name="budget">The memory budget.</param>
    /// <param name="streamedRuns">Where weights are streamed, how many patched runs there are, whose batches go through the layers together (<see cref="long.MaxValue"/>: as many as can be held); null: a batch at a time.</param>
    /// <param name="streamsOfRun">How many streams a patched run holds at the most.</param>
    public static PatchingBytes Memory(
        ModelConfig config, ScalarType dtype, int pairs, int length, int start, int layers, MemoryBudget budget, long? streamedRuns = null, int streamsOfRun = 1)
    {
        long cached = Bytes(config, dtype, CachedTensor.All(config, start), pairs, length, start);
        long made = 2L * layers * pairs * length * (config.Heads + (2L * config.KeyValueHeads)) * config.HeadWidth * dtype.OfStream().Bytes(); // q, k and v of both runs
        BatchMemory may = budget.Batch(null);
        BatchMemory batch = MemoryBudget.Cut(config, dtype, onCpu: true, config.Heads * layers, pairs, length - start, length, may with { Held = may.Held / streamsOfRun }).Takes;
        double ofRun = (double)streamsOfRun * pairs * (length - start) * config.Width * dtype.OfStream().Bytes(), all = (streamedRuns ?? 0) * ofRun;
        return new PatchingBytes(cached + made, Math.Max(streamsOfRun * batch.Held, (long)Math.Min(all, may.Held)), batch.Step)
        {
            Passes = (int)Math.Clamp(Math.Ceiling(all / may.Held), 1, int.MaxValue),
            RunsOfPass = (long)Math.Max(1, may.Held / Math.Max(1, ofRun)),
        };
    }

    private static IEnumerable<(PatchPlace Place, int Layer)> CellsOfBand(
        ModelConfig config, PatchOptions options, IReadOnlyList<TokenPair> chunk, int first, int last)
    {
        ILayerPatch patch = LayerPatchFor.Patch(options.Patch);
        return Cells(PatchPlace.Of(chunk, options.Positions, beforeDifference: options.Ablation is not null), first, last, layer => patch.Reach(config.Layers, layer));
    }

    private static IEnumerable<(PatchPlace Place, int Layer)> CellsOfPaths(
        ModelConfig config, PathOptions options, IReadOnlyList<TokenPair> chunk, int first, int last) =>
        Cells(PatchPlace.Of(chunk, options.Positions, beforeDifference: false), first, last, layer => options.Reach(config.Layers, layer));

    /// <summary>The rows and layers of a heatmap whose runs can differ from the unpatched one.</summary>
    private static IEnumerable<(PatchPlace Place, int Layer)> Cells(IEnumerable<PatchPlace> places, int first, int last, Func<int, Reach> reach) =>
        from place in places
        from layer in Enumerable.Range(first, last - first + 1)
        where place.Changes(reach(layer))
        select (place, layer);

    /// <summary>The operations of a position in each of a layer's products.</summary>
    private sealed class Products(ModelConfig config, int length)
    {
        private readonly double _headWidths = (double)config.Heads * config.HeadWidth;

        public double Query => 2 * config.Width * _headWidths;

        public double KeyValue => 4.0 * config.Width * config.KeyValueHeads * config.HeadWidth;

        public double Output => 2 * config.Width * _headWidths;

        public double Mlp => config.Experts is { } experts
            ? (6.0 * config.Width * config.MlpWidth * experts.Chosen) + (2.0 * config.Width * experts.Count)
            : (config.GatedMlp ? 6.0 : 4.0) * config.Width * config.MlpWidth;

        /// <summary>Scores and their sums, a multiplication and an addition each.</summary>
        public double Attention(double queries, double keys) => 4 * queries * keys * _headWidths;

        public double Layer(double positions, double keys) => (positions * (Query + KeyValue + Output + Mlp)) + Attention(positions, keys);

        /// <summary>From the input of a layer to the end: in the last layer keys and values at every position, the rest at the last.</summary>
        public double Suffix(int layer, double live) => layer >= config.Layers ? 0
            : ((config.Layers - 1 - layer) * Layer(live, length)) + (live * KeyValue) + Query + Output + Mlp + Attention(1, length);
    }
}
