using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Bands;

/// <summary>
/// The runs of a chunk one by one, of a head on a pair: those that are known, and those that are still to be made. Of patches at one place of each pair; where each position or
/// role is patched in turn there are none.
/// </summary>
public sealed class HeadCells
{
    private readonly double[][][] _metric;                                    // [pair][layer][head], not a number where none is known

    /// <summary>Begins with none.</summary>
    /// <param name="pairs">How many pairs the chunk has.</param>
    /// <param name="layers">How many layers the model has.</param>
    /// <param name="heads">How many heads (or what else is patched one at a time) a layer has.</param>
    public HeadCells(int pairs, int layers, int heads)
    {
        _metric = [.. Enumerable.Range(0, pairs).Select(_ => Enumerable.Range(0, layers).Select(_ => Enumerable.Repeat(double.NaN, heads).ToArray()).ToArray())];
    }

    /// <summary>A run's metric; not a number where none is known.</summary>
    public double this[int pair, int layer, int head]
    {
        get => _metric[pair][layer][head];
        set => _metric[pair][layer][head] = value;
    }

    /// <summary>Takes in the runs of a band over the whole chunk.</summary>
    public void Add(IReadOnlyList<LayerPatches> layers)
    {
        foreach (LayerPatches layer in layers)
        {
            for (int pair = 0; pair < _metric.Length; pair++)
            {
                layer.PatchedMetric[pair][0].CopyTo(_metric[pair][layer.Layer], 0);
            }
        }
    }

    /// <summary>Runs what is not known, pairs that want the same heads together.</summary>
    /// <param name="model">The model.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="budget">How much memory a batch may take.</param>
    /// <param name="inputs">The whole chunk.</param>
    /// <param name="options">What to patch, where and which way.</param>
    /// <param name="pairs">The pairs to run, by their places in the chunk.</param>
    /// <param name="heads">The heads to run, by layer.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>How many patched runs were made, and in how many seconds.</returns>
    public (long Runs, double Seconds) Run(
        Transformer model,
        IMetric metric,
        MemoryBudget budget,
        BandInputs inputs,
        PatchOptions options,
        IEnumerable<int> pairs,
        IReadOnlyDictionary<int, int[]> heads,
        Action<long>? progress,
        CancellationToken cancellation)
    {
        var patcher = new BandPatcher(model, metric, budget);
        long made = 0;
        double seconds = 0;
        foreach (var alike in pairs.Select(pair => (Pair: pair, Missing: Missing(pair, heads))).GroupBy(one => Text(one.Missing), StringComparer.Ordinal).Where(group => group.Key.Length > 0))
        {
            int[] some = [.. alike.Select(one => one.Pair)];
            Dictionary<int, IReadOnlyList<int>> missing = alike.First().Missing;
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            foreach (LayerPatches layer in patcher.Patch(inputs.Of(some) with { OnlyHeads = missing }, options, progress, cancellation))
            {
                foreach (var (place, pair) in some.Index())
                {
                    foreach (int head in missing[layer.Layer])
                    {
                        _metric[pair][layer.Layer][head] = layer.PatchedMetric[place][0][head];
                    }
                }

                made += layer.PatchedRuns;
                seconds += layer.Seconds;
            }
        }

        return (made, seconds);
    }

    /// <summary>The runs of a layer over the whole chunk, [pair][1][head]; where one is not known, the metric of the run that is patched.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="unpatched">By pair, the metric of the run that is patched.</param>
    public double[][][] Of(int layer, IReadOnlyList<double> unpatched) =>
        [.. _metric.Select((pair, place) => new[] { pair[layer].Select(metric => double.IsNaN(metric) ? unpatched[place] : metric).ToArray() })];

    private Dictionary<int, IReadOnlyList<int>> Missing(int pair, IReadOnlyDictionary<int, int[]> heads) => heads
        .Select(layer => (layer.Key, Heads: (IReadOnlyList<int>)[.. layer.Value.Where(head => double.IsNaN(_metric[pair][layer.Key][head]))]))
        .Where(layer => layer.Heads.Count > 0)
        .ToDictionary(layer => layer.Key, layer => layer.Heads);

    private static string Text(Dictionary<int, IReadOnlyList<int>> heads) => string.Join(';', heads.OrderBy(layer => layer.Key).Select(layer => $"{layer.Key}:{string.Join(',', layer.Value)}"));
}
