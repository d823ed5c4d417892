using System.Diagnostics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Bands;

/// <summary>How much of what a layer's patches write can reach the metric.</summary>
public enum Reach
{
    /// <summary>Nothing: no path leads there.</summary>
    Nothing,

    /// <summary>Only what is patched at the last position: nothing after it looks at another.</summary>
    LastPosition,

    /// <summary>What is patched at any position.</summary>
    EveryPosition,
}

/// <summary>A layer of a grid.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Units">The heads (or what else is patched one at a time) that are run.</param>
/// <param name="Reach">How much of it can reach the metric.</param>
internal sealed record GridLayer(int Layer, IReadOnlyList<int> Units, Reach Reach);

/// <summary>A patch over the pairs of a chunk.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Unit">The head, or what else is patched one at a time.</param>
internal readonly record struct PatchedRun(int Layer, int Unit);

/// <summary>Makes the patched runs of a batch and measures them, in a pass over the layers that other batches may share (<see cref="LayerPass"/>).</summary>
/// <param name="place">Where they are patched.</param>
/// <param name="start">The first position that is recomputed.</param>
/// <param name="runs">The runs, by layer.</param>
/// <param name="tile">How many of them, times pairs, are computed at a time.</param>
/// <param name="measured">Given their metric, [runs, pairs].</param>
/// <returns>Each layer before it is gone through.</returns>
internal delegate IEnumerable<int> MeasureRuns(PatchPlace place, int start, IReadOnlyList<PatchedRun> runs, int tile, Action<Tensor> measured);

/// <summary>
/// Where a patch is made in each pair of a chunk: one row of every pair's results. It is all positions, or one position of each pair, which
/// need not be the same in all of them.
/// </summary>
internal sealed class PatchPlace
{
    private readonly IReadOnlyList<TokenPair> _pairs;
    private readonly IReadOnlyList<int?>[] _rows; // by pair, the position of each of its rows; null: all
    private readonly int[] _changed;              // by pair, the first position that changes; the length where none does

    private PatchPlace(IReadOnlyList<TokenPair> pairs, IReadOnlyList<int?>[] rows, int row, bool beforeDifference)
    {
        (_pairs, _rows, Row) = (pairs, rows, row);
        _changed = [.. pairs.Select(Changed)];

        int Changed(TokenPair pair, int place)
        {
            int first = beforeDifference ? 0 : pair.FirstDifference;
            return HasRow(place) && (rows[place][row] ?? pair.Length - 1) >= first ? rows[place][row] ?? first : pair.Length;
        }
    }

    /// <summary>The row.</summary>
    public int Row { get; }

    /// <summary>The first position that changes in any pair; the length where none does.</summary>
    public int Start => _changed.Min();

    /// <summary>The position after the last one that is replaced in any pair.</summary>
    public int End => Enumerable.Range(0, _pairs.Count).Max(pair => _changed[pair] < _pairs[pair].Length ? (_rows[pair][Row] ?? _pairs[pair].Length - 1) + 1 : 0);

    /// <summary>Whether it is all positions of every pair.</summary>
    public bool IsEverywhere => Enumerable.Range(0, _pairs.Count).All(pair => HasRow(pair) && _rows[pair][Row] is null);

    /// <summary>The rows of a chunk. A pair may have fewer than another.</summary>
    /// <param name="pairs">The chunk's pairs, all of one length.</param>
    /// <param name="positions">Where patches are made.</param>
    /// <param name="beforeDifference">Whether a patch changes positions before the prompts first differ, as an ablation does.</param>
    /// <exception cref="ArgumentOutOfRangeException">The pairs have no such position.</exception>
    public static IReadOnlyList<PatchPlace> Of(IReadOnlyList<TokenPair> pairs, Positions positions, bool beforeDifference)
    {
        IReadOnlyList<int?>[] rows = [.. pairs.Select(positions.In)];
        return [.. Enumerable.Range(0, rows.Max(own => own.Count)).Select(row => new PatchPlace(pairs, rows, row, beforeDifference))];
    }

    /// <summary>Whether a pair has the row.</summary>
    /// <param name="pair">The pair's place in the chunk.</param>
    public bool HasRow(int pair) => Row < _rows[pair].Count;

    /// <summary>Whether the patch can change a pair's metric.</summary>
    /// <param name="pair">The pair's place in the chunk.</param>
    /// <param name="reach">How much of what the patch writes can reach the metric.</param>
    public bool Changes(int pair, Reach reach)
    {
        int last = _pairs[pair].Length - 1;
        return _changed[pair] <= last && reach switch
        {
            Reach.Nothing => false,
            Reach.LastPosition => (_rows[pair][Row] ?? last) == last,
            _ => true,
        };
    }

    /// <summary>Whether the patch can change any pair's metric.</summary>
    public bool Changes(Reach reach) => Enumerable.Range(0, _pairs.Count).Any(pair => Changes(pair, reach));

    /// <summary>The positions that are replaced in each pair, [pairs, position] bool; null for all.</summary>
    public Tensor? Where(Device device)
    {
        if (IsEverywhere)
        {
            return null;
        }

        int length = _pairs[0].Length;
        bool[] replaced = new bool[_pairs.Count * length];
        for (int pair = 0; pair < _pairs.Count; pair++)
        {
            if (_changed[pair] < length && _rows[pair][Row] is int position)
            {
                replaced[(pair * length) + position] = true;
            }
        }

        return tensor(replaced, device: device).reshape(_pairs.Count, length);
    }
}

/// <summary>
/// The cells of a heatmap over a chunk of pairs: layers, heads and positions, each the metric of one patched run. It runs the cells that can
/// differ from the unpatched run, in batches that fit into memory, and puts each run's metric where it belongs.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="inputs">The band and its chunk.</param>
/// <param name="direction">Which run is patched: the other cells have its metric.</param>
/// <param name="units">How many heads (or what else is patched one at a time) a layer has.</param>
/// <param name="places">The rows of the grid.</param>
/// <param name="reach">How much of what a layer's patches write can reach the metric.</param>
/// <param name="streamsOfRun">How many streams a patched run holds at the most.</param>
internal sealed class PatchGrid(
    Transformer model, BandInputs inputs, Direction direction, int units, IReadOnlyList<PatchPlace> places, Func<int, Reach> reach, int streamsOfRun = 1)
{
    /// <summary>Runs it.</summary>
    /// <param name="budget">How much memory a batch may take.</param>
    /// <param name="measure">Makes and measures the runs of a batch.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>The metric of every cell, by layer.</returns>
    public IReadOnlyList<LayerPatches> Run(MemoryBudget budget, MeasureRuns measure, Action<long>? progress, CancellationToken cancellation)
    {
        long started = Stopwatch.GetTimestamp();
        double cachedBefore = inputs.Caching?.Seconds ?? 0;
        IReadOnlyList<TokenPair> pairs = inputs.Pairs;
        int length = pairs[0].Length;
        GridLayer[] layers = [.. inputs.Layers.Select(layer => new GridLayer(layer, inputs.OnlyHeads?[layer] ?? [.. Enumerable.Range(0, units)], reach(layer)))];

        Dictionary<int, Reach> reaches = layers.ToDictionary(layer => layer.Layer, layer => layer.Reach);
        Dictionary<int, long> made = layers.ToDictionary(layer => layer.Layer, _ => 0L);
        var cells = new List<(PatchPlace Place, int Start, PatchedRun Run)>();
        foreach (PatchPlace place in places)
        {
            GridLayer[] reaching = [.. layers.Where(layer => place.Changes(layer.Reach))];
            int start = reaching.All(layer => layer.Reach == Reach.LastPosition) ? length - 1 : place.IsEverywhere ? inputs.Activations.Start : place.Start;
            cells.AddRange(reaching.SelectMany(layer => layer.Units.Select(unit => (place, start, new PatchedRun(layer.Layer, unit)))));
        }

        if (cells.Count == 0)
        {
            inputs.Caching?.Run(cancellation);
        }

        var values = new List<(RunBatch Batch, double[] Metric)>();
        var passes = new RunPasses(model, budget, pairs.Count, length) { Before = () => inputs.Caching is null ? [] : [inputs.Caching.Steps(cancellation)], StreamsOfRun = streamsOfRun };
        passes.Run(
            cells.Count,
            at => (cells.Skip(at).TakeWhile(cell => cell.Place == cells[at].Place).Count(), cells[at].Start),
            (batch, measured) => measure(cells[batch.First].Place, batch.Start, RunsOf(batch), batch.Tile, measured),
            (batch, metric) =>
            {
                values.Add((batch, metric));
                progress?.Invoke((long)batch.Count * pairs.Count);
            },
            (batch, cause) => OutOfMemory.OfOneHead(cells[batch.First].Run.Layer, pairs.Count, length, model.Device, cause),
            cancellation);

        // [layer][pair][row][unit]: the unpatched metric, but where a patched run says otherwise.
        Dictionary<int, double[][][]> metric = layers.ToDictionary(layer => layer.Layer, _ => Unpatched());
        values.ForEach(one => Put(cells[one.Batch.First].Place, RunsOf(one.Batch), one.Metric));
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds - ((inputs.Caching?.Seconds ?? 0) - cachedBefore);
        long all = Math.Max(1, made.Values.Sum());
        return
        [
            .. layers.Select(layer => new LayerPatches(
                layer.Layer, [.. pairs.Select(pair => pair.Index)], metric[layer.Layer], made[layer.Layer], seconds * made[layer.Layer] / all)),
        ];

        double[][][] Unpatched() =>
        [
            .. inputs.Baselines.Select((baseline, pair) => RowsOf(pair).Select(_ =>
                Enumerable.Repeat(direction == Direction.Denoise ? baseline.Corrupted : baseline.Clean, units).ToArray()).ToArray()),
        ];

        IEnumerable<PatchPlace> RowsOf(int pair) => places.Where(place => place.HasRow(pair));

        PatchedRun[] RunsOf(RunBatch batch) => [.. cells.Slice(batch.First, batch.Count).Select(cell => cell.Run)];

        void Put(PatchPlace place, PatchedRun[] runs, double[] values)
        {
            for (int run = 0; run < runs.Length; run++)
            {
                var (layer, unit) = runs[run];
                for (int pair = 0; pair < pairs.Count; pair++)
                {
                    // Pairs of a chunk may first differ at different positions; what is before a pair's own difference is left as it was.
                    if (place.Changes(pair, reaches[layer]))
                    {
                        metric[layer][pair][place.Row][unit] = values[(run * pairs.Count) + pair];
                    }
                }

                made[layer] += pairs.Count;
            }

        }
    }
}
