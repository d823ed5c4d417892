using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Models;

namespace HeadPatching.Sweeps.Plans;

/// <summary>
/// Cuts a sweep: pairs into chunks, which are what is stored, and bands of layers over groups of chunks into parts, which are what an activity
/// does. Chunks and bands depend on the model, the device's kind, the memory and the chunk's own pairs alone, so that a sweep over more pairs comes to
/// the same ones: every chunk of a length and place of difference that was full before. (The last chunk of each such group grows with the pairs, and
/// then is another.) Parts are sized by counted operations and depend on nothing that is stored.
/// </summary>
internal sealed class SweepCut
{
    /// <summary>A part takes about so long where there is enough to do: long against what an activity costs, short against what a killed host loses.</summary>
    private const double PartSeconds = 10;

    /// <summary>A chunk that takes longer than this over all layers is cut into bands of layers.</summary>
    private const double LongestSeconds = 30;

    /// <summary>Parts of a small sweep, so that several workers share it.</summary>
    private const int FewParts = 8;

    /// <summary>
    /// Pairs of a chunk. More gain nothing on a CPU, whose caches they would leave; and the smaller the chunks, the more of them a sweep over more
    /// pairs has in common with an earlier one.
    /// </summary>
    private const int MostPairsOnCpu = 8, MostPairsOnGpu = 256;

    /// <summary>Positions of a chunk, over its pairs: more gain nothing on a GPU.</summary>
    private const int MostRows = 8192;

    private const int MostChunksOfPart = 1024;

    private readonly ModelConfig _config;
    private readonly ModelSource _source;
    private readonly MemoryBudget _budget;
    private readonly double _rate;

    /// <summary>Makes a cut for a model.</summary>
    public SweepCut(ModelConfig config, ModelSource source, MemoryBudget budget, DeviceRates rates)
    {
        _config = config;
        _source = source;
        _budget = budget;
        _rate = rates.Of(source);
    }

    /// <summary>The parts and the size of a sweep.</summary>
    /// <param name="pairs">All pairs, in the order of the result.</param>
    /// <param name="method">How effects are found.</param>
    /// <param name="exact">The patched runs.</param>
    /// <param name="estimate">The estimates, where the method has some.</param>
    public (IReadOnlyList<PlannedPart> Parts, PlanSize Size) Cut(IReadOnlyList<TokenPair> pairs, Method method, ChunkWork exact, ChunkWork? estimate)
    {
        var places = pairs.Index().ToDictionary(pair => pair.Item.Index, pair => pair.Index);
        Measured[] chunks = [.. Chunks(pairs).Select(chunk => Measure(chunk, method, exact, estimate))];
        double flops = chunks.Sum(chunk => chunk.Flops), seconds = flops / _rate;
        double target = seconds switch
        {
            > FewParts * PartSeconds => PartSeconds,
            > FewParts / 2.0 => seconds / FewParts,
            _ => 0.5,
        };
        var firstBands = new List<PlannedPart>();
        var otherBands = new List<(int Band, PlannedPart Part)>();
        foreach (IReadOnlyList<Measured> group in Groups(chunks, target * _rate))
        {
            PlannedChunk[] planned = [.. group.Select(chunk => new PlannedChunk(
                chunk.Pairs, [.. chunk.Pairs.Select(pair => places[pair.Index])], WorkKeys.Activations(_source, chunk.Pairs, start: 0)))];
            foreach (var (band, layers) in group[0].Bands.Index())
            {
                var part = new PlannedPart(layers.First, layers.Last, planned);
                if (band == 0)
                {
                    firstBands.Add(part);
                }
                else
                {
                    otherBands.Add((band, part));
                }
            }
        }

        int bytes = Dtypes.Parse(_source.Dtype).Bytes();
        PlannedPart[] parts = [.. firstBands, .. otherBands.OrderBy(one => one.Band).Select(one => one.Part)];
        return (parts, new PlanSize(
            _config.Layers,
            chunks.Length,
            firstBands.Count,
            parts.Length,
            parts.Sum(part => part.Chunks.Count),
            method,
            exact is ChunkWork.Heads { Options.Ablation: Ablation.Mean },
            flops,
            pairs.Sum(pair => WorkCost.Bytes(_config, pair.Length, bytes, _config.Layers)),
            parts.Length == firstBands.Count && method != Method.Screen
                ? 0
                : parts.Sum(part => part.Chunks.Sum(chunk => chunk.Pairs.Sum(pair => WorkCost.Bytes(_config, pair.Length, bytes, _config.Layers - part.FirstLayer)))),
            seconds,
            _budget.Bytes));
    }

    /// <summary>Pairs of one length whose first difference is in the same quarter, in the order of the dataset, so many at a time.</summary>
    private IEnumerable<TokenPair[]> Chunks(IReadOnlyList<TokenPair> pairs) => pairs
        .GroupBy(pair => (pair.Length, Quarter: 4 * pair.FirstDifference / pair.Length))
        .OrderBy(group => group.Key)
        .SelectMany(group => group.OrderBy(pair => pair.Index).Chunk(PairsPerChunk(group.Key.Length)));

    // Whatever is patched: sweeps of other patches over the same pairs find the same activations.
    private int PairsPerChunk(int length)
    {
        double perPair = WorkCost.Caching(_config, length) + (_config.Heads * WorkCost.Caching(_config, length) * _config.Layers / 4);
        double most = new[]
        {
            _budget.PairsCached(_config, Dtypes.Parse(_source.Dtype), length),
            MostRows / (double)length,
            PartSeconds * _rate / perPair,
            _source.IsOnGpu ? MostPairsOnGpu : MostPairsOnCpu,
        }.Min();
        return 1 << (int)Math.Log2(Math.Max(most, 1));
    }

    private Measured Measure(TokenPair[] chunk, Method method, ChunkWork exact, ChunkWork? estimate)
    {
        double caching = chunk.Sum(pair => WorkCost.Caching(_config, pair.Length));
        double estimating = estimate is null ? 0 : chunk.Sum(pair => WorkCost.Band(_config, estimate, pair, 0, _config.Layers - 1));
        double[] layers = method == Method.Attribution
            ? new double[_config.Layers]
            : [.. Enumerable.Range(0, _config.Layers).Select(layer => chunk.Sum(pair => WorkCost.Band(_config, exact, pair, layer, layer)))];
        return new Measured(chunk, caching + estimating + layers.Sum(), Bands(layers));
    }

    /// <summary>Bands of layers that cost about the same each; one, where a chunk over all layers does not take long.</summary>
    private List<(int First, int Last)> Bands(double[] layers)
    {
        double all = layers.Sum();
        int count = all / _rate > LongestSeconds ? (int)Math.Min(Math.Ceiling(all / _rate / PartSeconds), layers.Length) : 1;
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

    private static IEnumerable<IReadOnlyList<Measured>> Groups(IReadOnlyList<Measured> chunks, double target)
    {
        var group = new List<Measured>();
        double flops = 0;
        foreach (Measured chunk in chunks)
        {
            // A band of the whole group is one part.
            if (group.Count > 0
                && (flops + (chunk.Flops / chunk.Bands.Count / 2) > target || group.Count == MostChunksOfPart || !group[0].Bands.SequenceEqual(chunk.Bands)))
            {
                yield return group;
                group = [];
                flops = 0;
            }

            group.Add(chunk);
            flops += chunk.Flops / chunk.Bands.Count;
        }

        yield return group;
    }

    private sealed record Measured(TokenPair[] Pairs, double Flops, IReadOnlyList<(int First, int Last)> Bands);
}

/// <summary>How fast one activity computes on each kind of device, in floating-point operations a second: what sizes of parts are reckoned from.</summary>
/// <param name="Cpu">On CPU cores.</param>
/// <param name="Gpu">On a GPU.</param>
public sealed record DeviceRates(double Cpu, double Gpu)
{
    /// <summary>The variable that says another rate of this host's device, in GFLOP/s.</summary>
    public const string Variable = "HEADPATCHING_GFLOPS";

    /// <summary>25 GFLOP/s on a CPU's core, 15 TFLOP/s on a GPU.</summary>
    public static DeviceRates Default { get; } = new(25e9, 15e12);

    /// <summary>The rates of this host: the default, or what <see cref="Variable"/> says.</summary>
    public static DeviceRates OfThisHost() =>
        double.TryParse(Environment.GetEnvironmentVariable(Variable), System.Globalization.CultureInfo.InvariantCulture, out double gflops) && gflops is > 0 and < 1e9
            ? new DeviceRates(gflops * 1e9, gflops * 1e9)
            : Default;

    /// <summary>The rate of a model's device.</summary>
    public double Of(ModelSource source) => source.IsOnGpu ? Gpu : Cpu;
}
