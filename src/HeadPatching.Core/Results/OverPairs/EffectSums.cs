using HeadPatching.Core.Patching;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>The effects of every head at every place of a result, taken in pair by pair; no larger for more pairs.</summary>
internal sealed class EffectSums
{
    private readonly Positions _positions;
    private readonly IReadOnlyList<Cell> _cells;
    private readonly EffectOverPairs _overPairs;
    private readonly (double Clean, double Corrupted)[] _baselines;           // sums by cell
    private EffectMoments[] _moments = [];                                    // [layer, cell, head]
    private double[] _patched = [];                                           // sums of the metric, [layer, cell, head]

    /// <summary>For some places.</summary>
    /// <param name="positions">What was patched.</param>
    /// <param name="cells">The places.</param>
    /// <param name="overPairs">How pairs come together.</param>
    public EffectSums(Positions positions, IReadOnlyList<Cell> cells, EffectOverPairs overPairs)
    {
        _positions = positions;
        _cells = cells;
        _overPairs = overPairs;
        _baselines = new (double, double)[cells.Count];
    }

    /// <summary>Heads, key/value heads, or one for the layer as a whole; 0 before the first pair.</summary>
    public int Units { get; private set; }

    /// <summary>Takes a pair in.</summary>
    /// <param name="runs">The pair.</param>
    /// <param name="metric">The metric of its patched runs, [layer][row][head].</param>
    public void Add(PairRuns runs, double[][][] metric)
    {
        if (Units == 0)
        {
            Units = metric[0][0].Length;
            _moments = new EffectMoments[metric.Length * _cells.Count * Units];
            _patched = new double[_moments.Length];
        }

        bool taken = _overPairs.Conditioning.Takes(runs.Pair.Index);
        for (int cell = 0; cell < _cells.Count; cell++)
        {
            if (_cells[cell].RowOf(_positions, runs.Pair) is not int row)
            {
                continue;
            }

            _baselines[cell].Clean += runs.Baseline.Clean;
            _baselines[cell].Corrupted += runs.Baseline.Corrupted;
            for (int layer = 0; layer < metric.Length; layer++)
            {
                double[] patched = metric[layer][row];
                for (int head = 0, at = At(layer, cell, 0); head < Units; head++, at++)
                {
                    _patched[at] += patched[head];
                    if (taken)
                    {
                        _overPairs.Add(ref _moments[at], runs.Baseline, patched[head]);
                    }
                }
            }
        }
    }

    /// <summary>The effect of a head at a place.</summary>
    public PooledEffect Effect(int layer, int cell, int head) => EffectOverPairs.Pooled(_moments[At(layer, cell, head)]);

    /// <summary>Its interval among those of many that are asked at once; null where it has none.</summary>
    public ConfidenceInterval? Joint(int layer, int cell, int head, double miss) => EffectOverPairs.Joint(_moments[At(layer, cell, head)], miss);

    /// <summary>The mean metric of the patched runs of a head at a place, over all pairs that have it.</summary>
    public double PatchedMetric(int layer, int cell, int head) => _patched[At(layer, cell, head)] / _cells[cell].Pairs;

    /// <summary>The mean unpatched metrics of the pairs that have a place.</summary>
    public Baseline BaselineAt(int cell) => new(_baselines[cell].Clean / _cells[cell].Pairs, _baselines[cell].Corrupted / _cells[cell].Pairs);

    /// <summary>The place of a head's largest |effect| among some; of equal ones the last, where the answer is read.</summary>
    /// <param name="layer">The head's layer.</param>
    /// <param name="head">The head.</param>
    /// <param name="among">Those places, by index.</param>
    public int Strongest(int layer, int head, IEnumerable<int> among) => among.Reverse().MaxBy(cell => Math.Abs(Effect(layer, cell, head).Effect));

    private int At(int layer, int cell, int head) => (((layer * _cells.Count) + cell) * Units) + head;
}
