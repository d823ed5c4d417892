using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Results.Comparing;

/// <summary>
/// The effects of one sweep's cells over some of its pairs, and what each pair adds to them. An effect over pairs is the sum of numerators through the
/// sum of denominators, however pairs come together. Of many pairs several are one group, formed by chance, so that what is held does not grow
/// with the pairs: a sum over a group takes the place of a pair's own numbers.
/// </summary>
internal sealed class GroupedEffects
{
    /// <summary>The most groups; up to so many pairs are a group each.</summary>
    public const int MostGroups = 1000;

    /// <summary>The most numbers that are held of one sweep.</summary>
    private const int MostNumbers = 4_000_000;

    private readonly ComparedCells _cells;
    private readonly double[] _numerators;                                    // [group, cell]
    private readonly double[] _denominators;                                  // [group, place]
    private readonly double[] _means;                                         // of the denominators, by place
    private readonly int[] _pairs;                                            // by place

    private GroupedEffects(ComparedCells cells, int groups)
    {
        _cells = cells;
        Groups = groups;
        _numerators = new double[groups * cells.Count];
        _denominators = new double[groups * cells.Places.Count];
        _means = new double[cells.Places.Count];
        _pairs = new int[cells.Places.Count];
        Effects = new double?[cells.Count];
    }

    /// <summary>How many groups there are.</summary>
    public int Groups { get; }

    /// <summary>The effect of each cell; null where there is none to take.</summary>
    public double?[] Effects { get; }

    /// <summary>How many groups there are of so many pairs.</summary>
    public static int GroupsOf(int pairs, ComparedCells cells) => Math.Min(pairs, Math.Clamp(MostNumbers / cells.Count, 50, MostGroups));

    /// <summary>Takes in a sweep's pairs.</summary>
    /// <param name="sweep">The sweep.</param>
    /// <param name="cells">What is compared.</param>
    /// <param name="groupOf">The group of each pair that is taken, by its index.</param>
    /// <param name="groups">How many groups there are.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public static async Task<GroupedEffects> OfAsync(
        ComparedSweep sweep, ComparedCells cells, IReadOnlyDictionary<int, int> groupOf, int groups, CancellationToken cancellationToken)
    {
        var effects = new GroupedEffects(cells, groups);
        bool ofMeans = sweep.Result.Aggregation == Aggregation.RatioOfMeans;
        await foreach (PairNumbers pair in sweep.Pairs!.ReadAsync(cells.Places, cancellationToken))
        {
            if (groupOf.TryGetValue(pair.Index, out int group))
            {
                effects.Add(pair, group, sweep.Result.Direction, ofMeans);
            }
        }

        effects.Finish();
        return effects;
    }

    /// <summary>How many pairs have the place of a cell.</summary>
    public int PairsOf(int cell) => _pairs[cell / _cells.AtPlace];

    /// <summary>
    /// What each group adds to a cell's effect beside the others, mean 0: of a mean of ratios its own effect less the mean, of a ratio of means
    /// its linearisation (numerator - effect * denominator) / mean denominator (Cochran 1977, "Sampling Techniques", section 2.11).
    /// </summary>
    public double Deviation(int group, int cell)
    {
        if (Effects[cell] is not double effect)
        {
            return 0;
        }

        int place = cell / _cells.AtPlace;
        return (_numerators[(group * _cells.Count) + cell] - (effect * _denominators[(group * _cells.Places.Count) + place])) / _means[place];
    }

    private void Add(PairNumbers pair, int group, Direction direction, bool ofMeans)
    {
        var (from, to) = pair.Baseline.FromTo(direction);
        for (int place = 0; place < _cells.Places.Count; place++)
        {
            if (pair.Patched[place] is not { } patched)
            {
                continue;
            }

            if (patched.Length != _cells.AtPlace)
            {
                throw new InvalidInputException(FaultKinds.Malformed, $"pairs[{pair.Index}]", $"It has the runs of {patched.Length} patches, where there are {_cells.AtPlace} in the heatmap.");
            }

            _pairs[place]++;
            _denominators[(group * _cells.Places.Count) + place] += ofMeans ? to - from : 1;
            int first = (group * _cells.Count) + (place * _cells.AtPlace);
            for (int head = 0; head < patched.Length; head++)
            {
                _numerators[first + head] += ofMeans ? patched[head] - from : Effect.Of(patched[head], from, to);
            }
        }
    }

    private void Finish()
    {
        for (int place = 0; place < _cells.Places.Count; place++)
        {
            double denominator = Enumerable.Range(0, Groups).Sum(group => _denominators[(group * _cells.Places.Count) + place]);
            if (_pairs[place] == 0 || PairConditioning.IsDegenerate(denominator / _pairs[place]))
            {
                continue;
            }

            _means[place] = denominator / Groups;
            for (int cell = place * _cells.AtPlace; cell < (place + 1) * _cells.AtPlace; cell++)
            {
                Effects[cell] = Enumerable.Range(0, Groups).Sum(group => _numerators[(group * _cells.Count) + cell]) / denominator;
            }
        }
    }
}
