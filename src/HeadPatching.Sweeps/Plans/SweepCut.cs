using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Models;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Plans;

/// <summary>
/// Cuts a sweep: pairs into chunks, which are what is stored, and bands of layers over groups of chunks into parts, which are what an activity
/// does. Chunks and bands depend on the model, the device's kind, the memory and the chunk's own pairs alone, so that a sweep over more pairs comes to
/// the same ones: every chunk of a length and first difference that was full before. The last chunk of each such group grows with the pairs, and then
/// is another; since chunks grow from a few pairs on, that is less than half of a group. Parts are sized by counted operations and depend on nothing
/// that is stored; they come largest first and get smaller towards the end, so that no worker is left to wait long for another one's last.
/// </summary>
internal sealed class SweepCut
{
    /// <summary>A part takes about so long where there is enough to do: long against what an activity costs, short against what a killed host loses.</summary>
    private const double PartSeconds = 10;

    /// <summary>A chunk that takes longer than this over all layers is cut into bands of layers.</summary>
    private const double LongestSeconds = 30;

    /// <summary>Pairs are not added to a chunk beyond this over all layers: the last chunks are what workers may have to wait for.</summary>
    private const double ChunkSeconds = 12;

    /// <summary>A part is this share of what is left to do, and no less than <see cref="LeastShare"/> of all, so that several workers share it and end together.</summary>
    private const double ShareOfRest = 1 / 8.0, LeastShare = 1 / 48.0;

    /// <summary>A part of less than this is not worth an activity.</summary>
    private const double LeastSeconds = 0.25;

    /// <summary>Pairs of the first chunk of a group. Fewer do not stand alone, and go together with others to twice as many.</summary>
    private const int FewestPairs = 4;

    /// <summary>Pairs of a chunk. More gain nothing; and the smaller the chunks, the more of them a sweep over more pairs has in common with an earlier one.</summary>
    private const int MostPairsOnCpu = 64, MostPairsOnGpu = 256;

    /// <summary>Positions of a chunk, over its pairs: more gain nothing on a GPU.</summary>
    private const int MostRows = 8192;

    /// <summary>How fast streamed weights come, in bytes a second, at the least: a solid-state disk. Where a chunk's runs take longer than its weights, they come meanwhile.</summary>
    public const double StreamRate = 1e9;

    /// <summary>The sums over all pairs are taken in so many slices, an activity each: each is as large as the sums together.</summary>
    private const int MostSumSlices = 8;

    private const int MostChunksOfPart = 1024;

    /// <summary>Which share of an exact sweep's runs an adaptive one is reckoned with: more than most take, but nobody can know before.</summary>
    public const double AdaptiveShare = 0.15;

    private readonly ModelConfig _config;
    private readonly ModelSource _source;
    private readonly ScalarType _dtype;
    private readonly MemoryBudget _budget;
    private readonly double _rate;
    private readonly WeightBytes _weights;
    private readonly long? _available;

    /// <summary>Makes a cut for a model.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="source">The model, and whether its weights are streamed.</param>
    /// <param name="budget">The memory budget.</param>
    /// <param name="rates">How fast activities compute.</param>
    /// <param name="weights">What its weights take.</param>
    /// <param name="available">What memory there is; null where nobody says.</param>
    public SweepCut(ModelConfig config, ModelSource source, MemoryBudget budget, DeviceRates rates, WeightBytes weights, long? available)
    {
        (_weights, _available) = (weights, available);
        _config = config;
        _source = source;
        _dtype = Dtypes.Parse(source.Dtype);
        _budget = budget;
        _rate = rates.Of(source, config);
    }

    /// <summary>The parts and the size of a sweep.</summary>
    /// <param name="pairs">All pairs, in the order of the result.</param>
    /// <param name="method">How effects are found.</param>
    /// <param name="exact">The patched runs.</param>
    /// <param name="before">What comes before them, where something does.</param>
    /// <param name="shareRun">Which share of all heads is run, as far as it is known.</param>
    /// <param name="ablation">What an ablation puts in, where that depends on all pairs.</param>
    /// <param name="runsSets">Whether sets of nodes, or edges, are patched as well.</param>
    /// <param name="ofEdges">Whether edges are.</param>
    public (IReadOnlyList<PlannedPart> Parts, PlanSize Size) Cut(
        IReadOnlyList<TokenPair> pairs, Method method, ChunkWork exact, ChunkWork? before, double shareRun, AblationPlan? ablation, bool runsSets, bool ofEdges)
    {
        var places = pairs.Index().ToDictionary(pair => pair.Item.Index, pair => pair.Index);
        Measured[] chunks = [.. Chunks(pairs).Select(chunk => Measure(chunk, method, exact, before, shareRun)).OrderByDescending(chunk => chunk.Flops)];
        double flops = chunks.Sum(chunk => chunk.Flops), seconds = flops / _rate;
        IReadOnlyList<Measured>[] groups = [.. Groups(chunks, flops)];
        PatchingBytes? ofSets = runsSets ? MemoryOfSets(pairs, exact) : null;
        PatchingBytes most = chunks.SelectMany(chunk => chunk.Bands.Select(band => Memory(chunk, band, method, exact))).Concat(ofSets is null ? [] : [ofSets]).MaxBy(memory => memory.Total)!;
        PlannedChunk[][] planned = [.. groups.Select(group => group.Select(chunk => new PlannedChunk(
            chunk.Pairs, [.. chunk.Pairs.Select(pair => places[pair.Index])], chunk.Start, WorkKeys.Activations(_source, chunk.Pairs, chunk.Start))
            {
                Ablation = ablation?.For(chunk.Pairs),
                CachingFlops = chunk.Caching,
                EstimatingFlops = chunk.Estimating,
            }).ToArray())];

        // The first bands of all groups, then the second ones of those that have one, and so on.
        (int Group, PlannedBand Band)[] bands =
        [
            .. Enumerable.Range(0, groups.Max(group => group[0].Bands.Count))
                .SelectMany(band => groups.Index().Where(group => band < group.Item[0].Bands.Count).Select(group => (Group: group.Index, Layers: group.Item[0].Bands[band])))
                .Select((one, part) => (one.Group, new PlannedBand(one.Layers.First, one.Layers.Last, part))),
        ];
        ILookup<int, PlannedBand> byGroup = bands.ToLookup(one => one.Group, one => one.Band);
        PlannedPart[] parts =
        [
            .. bands.Select(one => new PlannedPart(one.Band.FirstLayer, one.Band.LastLayer, planned[one.Group])
            {
                Bands = one.Band.FirstLayer == 0 ? [.. byGroup[one.Group]] : [],
                Flops = [.. groups[one.Group].Select(chunk => chunk.Layers[one.Band.FirstLayer..(one.Band.LastLayer + 1)].Sum())],
            }),
        ];
        PlannedMemory memory = PlannedMemory.Of(
            _weights,
            _source.Streamed,
            everyToken: !exact.Metric.Make().IsLinear,
            ofEdges,
            most,
            Passes(chunks, method, exact, before),
            _available);
        return (parts, new PlanSize(
            _config.Layers,
            chunks.Length,
            groups.Length,
            parts.Length,
            parts.Sum(part => part.Chunks.Count),
            method,
            exact is ChunkWork.Heads { Options.Ablation: Ablation.Mean } mean ? mean.Options.References is null ? Math.Min(MostSumSlices, groups.Length) : 1 : 0,
            method == Method.Attribution ? 0 : (long)(Share(method, shareRun) * chunks.Sum(chunk => exact.PatchedRuns(_config, chunk.Pairs, 0, _config.Layers - 1))),
            flops,
            chunks.Sum(chunk => Bytes(CachedTensor.All(_config, chunk.Start), chunk.Pairs, chunk.Start)),
            BytesToRead(parts, groups.Length, method, exact, before),
            seconds,
            most.Total)
        {
            RunsSets = runsSets,
            Memory = memory with { SetsOfPass = _source.Streamed ? ofSets?.RunsOfPass : null },
        });
    }

    /// <summary>How often the weights are read for a chunk at the most: by what comes first, and by the patched runs where all layers have some.</summary>
    private int Passes(IReadOnlyList<Measured> chunks, Method method, ChunkWork exact, ChunkWork? before) => !_source.Streamed ? 1
        : (before?.FurtherPasses ?? 0) + (method == Method.Attribution ? 0 : exact.FurtherPasses + chunks.Max(chunk => Memory(chunk, chunk.Bands[0], method, exact).Passes));

    private PatchingBytes Memory(Measured chunk, (int First, int Last) band, Method method, ChunkWork exact) => Cost.Memory(
        _config,
        _dtype,
        chunk.Pairs.Count,
        chunk.Pairs[0].Length,
        chunk.Start,
        band.Last - band.First + 1,
        _budget,
        _source.Streamed && method != Method.Attribution ? exact.PatchedRuns(_config, chunk.Pairs, band.First, band.Last) / chunk.Pairs.Count : null,
        exact.StreamsOfRun);

    // They are run on chunks of their own, of as many pairs as can be cached.
    private PatchingBytes MemoryOfSets(IReadOnlyList<TokenPair> pairs, ChunkWork exact)
    {
        int length = pairs.Max(pair => pair.Length);
        TokenPair[] longest = [.. pairs.Where(pair => pair.Length == length)];
        int together = Math.Min(_budget.PairsPerChunk(_config, _dtype, length), longest.Length);
        return Cost.Memory(_config, _dtype, together, length, StartOf(longest, exact), _config.Layers, _budget, _source.Streamed ? long.MaxValue : null, exact.StreamsOfRun);
    }

    private static int StartOf(IReadOnlyList<TokenPair> chunk, ChunkWork exact) => exact is ChunkWork.Heads { Options.Ablation: not null } ? 0 : CachingRun.StartOf(chunk);

    // A part that has all layers of its chunks makes their activations itself, unless the estimate before it did.
    private long BytesToRead(PlannedPart[] parts, int groups, Method method, ChunkWork exact, ChunkWork? before)
    {
        bool cachedFirst = parts.Length > groups;
        long bytes = 0;
        if (before is not null && cachedFirst)
        {
            bytes += parts.Take(groups).Sum(part => Of(part, before));
        }

        return method is Method.Attribution or Method.Adaptive || (method == Method.Exact && !cachedFirst) ? bytes : bytes + parts.Sum(part => Of(part, exact));

        long Of(PlannedPart part, ChunkWork work) =>
            part.Chunks.Sum(chunk => Bytes(work.Needed(_config, part.FirstLayer, part.LastLayer, chunk.Start), chunk.Pairs, chunk.Start));
    }

    private long Bytes(IEnumerable<CachedTensor> tensors, IReadOnlyList<TokenPair> pairs, int start) =>
        Cost.Bytes(_config, _dtype, tensors, pairs.Count, pairs[0].Length, start);

    /// <summary>
    /// Chunks of pairs of one length and first difference, in the order of the dataset: a few, as many again, then twice as many each time, to the
    /// most there may be. What is left of a group and is too few to stand alone goes together with others of its length.
    /// </summary>
    private IEnumerable<IReadOnlyList<TokenPair>> Chunks(IReadOnlyList<TokenPair> pairs)
    {
        foreach (var ofOneLength in pairs.GroupBy(pair => pair.Length).OrderBy(group => group.Key))
        {
            int most = PairsPerChunk(ofOneLength.Key);
            var left = new List<TokenPair>();
            foreach (var group in ofOneLength.Select(pair => (pair.FirstDifference, Pair: pair)).GroupBy(one => one.FirstDifference, one => one.Pair).OrderBy(group => group.Key))
            {
                TokenPair[] ofGroup = [.. group.OrderBy(pair => pair.Index)];
                for (int done = 0; done < ofGroup.Length;)
                {
                    TokenPair[] chunk = [.. ofGroup.Skip(done).Take(Math.Min(most, Math.Max(FewestPairs, done)))];
                    done += chunk.Length;
                    if (chunk.Length < Math.Min(most, FewestPairs))
                    {
                        left.AddRange(chunk);
                    }
                    else
                    {
                        yield return chunk;
                    }
                }
            }

            foreach (IReadOnlyList<TokenPair> chunk in Core.Patching.Chunks.Split(left, _ => Math.Min(most, 2 * FewestPairs)))
            {
                yield return chunk;
            }
        }
    }

    // Whatever is patched: sweeps of other patches over the same pairs find the same activations.
    private int PairsPerChunk(int length)
    {
        double forward = Cost.OfCaching(_config, 1, length, start: 0);
        double runs = forward * (1 + (_config.Heads * _config.Layers / 4.0)), inTime = ChunkSeconds * _rate / runs;
        if (_source.Streamed)
        {
            // As many as take longer than their weights take to come, but no more than whose streams go through the layers together.
            double hidden = _weights.All / StreamRate * _rate / runs;
            double together = _budget.Streams / ((double)_config.Layers * _config.Heads * length * _config.Width * _dtype.OfStream().Bytes());
            inTime = Math.Min(Math.Max(inTime, hidden), together);
        }

        double most = new[]
        {
            _budget.PairsCached(_config, _dtype, length),
            MostRows / (double)length,
            inTime,
            _source.IsOnGpu ? MostPairsOnGpu : MostPairsOnCpu,
        }.Min();
        return 1 << (int)Math.Log2(Math.Max(most, 1));
    }

    private Measured Measure(IReadOnlyList<TokenPair> chunk, Method method, ChunkWork exact, ChunkWork? before, double shareRun)
    {
        int start = StartOf(chunk, exact);
        double caching = Cost.OfCaching(_config, chunk.Count, chunk[0].Length, start);
        double estimating = before?.Operations(_config, chunk, 0, _config.Layers - 1) ?? 0;
        double[] layers = method == Method.Attribution
            ? new double[_config.Layers]
            : [.. Enumerable.Range(0, _config.Layers).Select(layer => shareRun * exact.Operations(_config, chunk, layer, layer))];
        List<(int First, int Last)> bands = Bands(layers); // an adaptive sweep's are an exact one's, whose runs it finds and leaves
        return new Measured(chunk, start, caching, estimating, method == Method.Adaptive ? [.. layers.Select(layer => AdaptiveShare * layer)] : layers, bands);
    }

    private static double Share(Method method, double shareRun) => method == Method.Adaptive ? AdaptiveShare : shareRun;

    /// <summary>Bands of layers that cost about the same each; one, where a chunk over all layers does not take long, or each band would read the weights.</summary>
    private List<(int First, int Last)> Bands(double[] layers)
    {
        double all = layers.Sum();
        int count = all / _rate > LongestSeconds && !_source.Streamed ? (int)Math.Min(Math.Ceiling(all / _rate / PartSeconds), layers.Length) : 1;
        var bands = new List<(int First, int Last)>();
        double done = 0;
        for (int layer = 0, first = 0; layer < layers.Length; layer++)
        {
            done += layers[layer];
            if (layer == layers.Length - 1 || done >= all * (bands.Count + 1) / count)
            {
                bands.Add((first, layer));
                first = layer + 1;
            }
        }

        return bands;
    }

    /// <summary>Chunks of one cut into bands that go together; a band of the whole group is one part.</summary>
    private IEnumerable<IReadOnlyList<Measured>> Groups(IReadOnlyList<Measured> chunks, double all)
    {
        var group = new List<Measured>();
        double ofBand = 0, left = all, target = Target(all);
        foreach (Measured chunk in chunks)
        {
            double own = chunk.Flops / chunk.Bands.Count;
            if (group.Count > 0 && (ofBand + (own / 2) > target || group.Count == MostChunksOfPart || !group[0].Bands.SequenceEqual(chunk.Bands)))
            {
                yield return group;
                (group, ofBand, target) = ([], 0, Target(left));
            }

            group.Add(chunk);
            ofBand += own;
            left -= chunk.Flops;
        }

        yield return group;

        double Target(double rest)
        {
            double most = PartSeconds * _rate;
            return Math.Max(Math.Clamp(rest * ShareOfRest, Math.Min(all * LeastShare, most), most), LeastSeconds * _rate);
        }
    }

    private sealed record Measured(
        IReadOnlyList<TokenPair> Pairs, int Start, double Caching, double Estimating, double[] Layers, IReadOnlyList<(int First, int Last)> Bands)
    {
        public double Flops { get; } = Caching + Estimating + Layers.Sum();
    }
}

/// <summary>How fast one activity computes on each kind of device, in floating-point operations a second: what sizes of parts are reckoned from.</summary>
/// <param name="NarrowCpu">On a CPU's core, with models narrower than <see cref="Wide"/>: their products are too small for its full rate.</param>
/// <param name="Cpu">On a CPU's core.</param>
/// <param name="Gpu">On a GPU.</param>
public sealed record DeviceRates(double NarrowCpu, double Cpu, double Gpu)
{
    /// <summary>The variable that says another rate of this host's device, in GFLOP/s.</summary>
    public const string Variable = "HEADPATCHING_GFLOPS";

    /// <summary>The d_model from which on products are large enough for a CPU's full rate.</summary>
    public const int Wide = 512;

    /// <summary>25 GFLOP/s on a CPU's core with narrow models and 75 with others, as the demo model and one of GPT-2 small's shape were measured; 15 TFLOP/s on a GPU.</summary>
    public static DeviceRates Default { get; } = new(25e9, 75e9, 15e12);

    /// <summary>The rates of this host: the default, or what <see cref="Variable"/> says.</summary>
    public static DeviceRates OfThisHost() =>
        double.TryParse(Environment.GetEnvironmentVariable(Variable), System.Globalization.CultureInfo.InvariantCulture, out double gflops) && gflops is > 0 and < 1e9
            ? new DeviceRates(gflops * 1e9, gflops * 1e9, gflops * 1e9)
            : Default;

    /// <summary>The rate of a model on its device.</summary>
    public double Of(ModelSource source, ModelConfig config) => source.IsOnGpu ? Gpu : config.Width < Wide ? NarrowCpu : Cpu;
}
