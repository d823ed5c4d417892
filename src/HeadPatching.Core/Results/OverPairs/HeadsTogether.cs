using HeadPatching.Core.Patching;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>
/// What the effects of all heads say together, which none says by itself: how wide the intervals must be for all of them to hold at once, and how
/// often each head would be among the strongest had other pairs been swept. Pair by pair, in memory that does not grow with the pairs
/// (<see cref="GroupedEffects"/>). A head counts at each place from which its strongest is taken, since it was picked.
/// </summary>
internal sealed class HeadsTogether
{
    /// <summary>Of more cells than this no pairs are held: the level is Bonferroni's, and nothing is said of the ranking.</summary>
    private const int MostCells = 20_000;

    private readonly Positions _positions;
    private readonly IReadOnlyList<Cell> _places;
    private readonly Aggregation _aggregation;
    private readonly Direction _direction;
    private readonly PairConditioning _conditioning;
    private readonly int[] _taken;                                            // places of the result, of those pairs that are taken
    private readonly int _seed;
    private GroupedEffects? _effects;
    private int[] _groupOf = [];                                              // by place of the result
    private int _layers, _units;

    /// <summary>For the pairs of a sweep.</summary>
    /// <param name="positions">What was patched.</param>
    /// <param name="places">The places from which each head's strongest is taken.</param>
    /// <param name="aggregation">How pairs come together.</param>
    /// <param name="direction">Which run was patched.</param>
    /// <param name="conditioning">Which of the pairs are taken.</param>
    /// <param name="pairs">The indices of all pairs, in the order of the result.</param>
    /// <param name="seed">Of what is drawn.</param>
    public HeadsTogether(
        Positions positions, IReadOnlyList<Cell> places, Aggregation aggregation, Direction direction, PairConditioning conditioning, IEnumerable<int> pairs, int seed)
    {
        _positions = positions;
        _places = places;
        _aggregation = aggregation;
        _direction = direction;
        _conditioning = conditioning;
        _taken = [.. pairs.Index().Where(pair => conditioning.Takes(pair.Item)).Select(pair => pair.Index)];
        _seed = seed;
    }

    private int Cells => _places.Count * _layers * _units;

    /// <summary>Takes a pair in.</summary>
    public void Add(PairRuns runs)
    {
        if (_layers == 0)
        {
            Begin(runs);
        }

        if (_effects is null || !_conditioning.Takes(runs.Pair.Index))
        {
            return;
        }

        int group = _groupOf[runs.Place];
        foreach (var (place, cell) in _places.Index())
        {
            if (cell.RowOf(_positions, runs.Pair) is int row)
            {
                _effects.Add(group, place, runs.Baseline);
                foreach (var (layer, rows) in runs.PatchedMetric.Index())
                {
                    _effects.Add(group, place, runs.Baseline, layer * _units, rows[row]);
                }
            }
        }
    }

    /// <summary>What they say, when every pair was taken in; null over fewer pairs than there are intervals of.</summary>
    /// <param name="sums">The effects themselves.</param>
    /// <param name="placeOf">The place of each candidate in <paramref name="sums"/>.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public TogetherOverPairs? Finish(EffectSums sums, IReadOnlyList<int> placeOf, CancellationToken cancellationToken)
    {
        if (_taken.Length < ConfidenceInterval.LeastPairs || _layers == 0)
        {
            return null;
        }

        PooledEffect[] effects = [.. from place in placeOf from layer in Enumerable.Range(0, _layers) from head in Enumerable.Range(0, _units) select sums.Effect(layer, place, head)];
        bool[] varies = [.. effects.Select(effect => effect.Interval is not null && effect.StandardError > 0)];
        int cells = Cells, heads = _layers * _units;
        if (_effects is null)
        {
            int varying = varies.Count(one => one);
            return new TogetherOverPairs(new JointIntervals(JointIntervals.BonferronisKind, JointLevel.Bonferroni(varying), varying, 0, []), new double[]?[heads]);
        }

        _effects.Finish();
        var samples = new double[_effects.Groups * cells];
        for (int cell = 0; cell < cells; cell++)
        {
            for (int group = 0; group < _effects.Groups && varies[cell]; group++)
            {
                samples[(group * cells) + cell] = _effects.Deviation(group, cell) / _effects.Groups;
            }
        }

        _effects = null;
        var pairs = new PairDraws(samples, [samples.Length / cells], cells);
        var tops = new TopShares(heads, [.. JointIntervals.AllTops.Where(top => top < heads)]);
        var largest = new double[PairDraws.Usual];
        pairs.Each(
            PairDraws.Usual,
            _seed,
            (draw, moved) =>
            {
                largest[draw] = JointLevel.Largest(moved);
                var strength = new double[heads];
                for (int cell = 0; cell < moved.Length; cell++)
                {
                    int head = cell % heads;
                    strength[head] = Math.Max(strength[head], Math.Abs(effects[cell].Effect + (moved[cell] * pairs.Deviations[cell])));
                }

                tops.Count(strength);
            },
            cancellationToken);
        string kind = pairs.Least < JointLevel.LeastPairs ? JointIntervals.BonferronisKind : JointIntervals.BootstrapKind;
        return new TogetherOverPairs(
            new JointIntervals(kind, JointLevel.Of(pairs, largest), pairs.Varying, PairDraws.Usual, tops.Tops), [.. Enumerable.Range(0, heads).Select(tops.Of)]);
    }

    // How many heads there are is known from the first pair.
    private void Begin(PairRuns runs)
    {
        _layers = runs.PatchedMetric.Length;
        _units = runs.PatchedMetric[0][0].Length;
        if (_taken.Length < ConfidenceInterval.LeastPairs || Cells > MostCells)
        {
            return;
        }

        int groups = GroupedEffects.GroupsOf(_taken.Length, Cells);
        _effects = new GroupedEffects(_places.Count, _layers * _units, groups, _aggregation, _direction);
        _groupOf = new int[_taken[^1] + 1];
        foreach (var (place, group) in _taken.Zip(GroupedEffects.Dealt(_taken.Length, groups, _seed)))
        {
            _groupOf[place] = group;
        }
    }
}

/// <summary>What the effects of all heads say together.</summary>
/// <param name="Intervals">How wide their intervals must be.</param>
/// <param name="InTop">By head the share of draws in which it was among the strongest, as in <see cref="HeadResult.InTop"/>; null where nothing was drawn.</param>
internal sealed record TogetherOverPairs(JointIntervals Intervals, IReadOnlyList<double[]?> InTop);

/// <summary>Counts how often each head is among the strongest.</summary>
internal sealed class TopShares(int heads, int[] tops)
{
    private readonly int[] _counts = new int[heads * tops.Length];            // [head, top]
    private int _draws;

    /// <summary>Among how many.</summary>
    public IReadOnlyList<int> Tops => tops;

    /// <summary>Takes in how strong each head was in a draw, of several draws at once.</summary>
    public void Count(double[] strength)
    {
        Interlocked.Increment(ref _draws);
        int[] order = [.. Enumerable.Range(0, heads)];
        Array.Sort(Array.ConvertAll(strength, one => -one), order);
        foreach (var (of, top) in tops.Index())
        {
            for (int rank = 0; rank < top; rank++)
            {
                Interlocked.Increment(ref _counts[(order[rank] * tops.Length) + of]);
            }
        }
    }

    /// <summary>The shares of a head, by the tops.</summary>
    public double[]? Of(int head) => tops.Length == 0 ? null : [.. tops.Select((_, of) => _counts[(head * tops.Length) + of] / (double)_draws)];
}
