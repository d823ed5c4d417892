using HeadPatching.Core.Patching;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>
/// The effects of a sweep's cells over some of its pairs, and what each pair adds to them. An effect over pairs is the sum of numerators through the
/// sum of denominators, however pairs come together. Of many pairs several are one group, formed by chance, so that what is held does not grow
/// with the pairs: a sum over a group takes the place of a pair's own numbers. Numbers of all cells are laid out as [place, patch].
/// </summary>
internal sealed class GroupedEffects
{
    /// <summary>The most groups; up to so many pairs are a group each.</summary>
    public const int MostGroups = 1000;

    /// <summary>The most numbers that are held of one sweep.</summary>
    private const int MostNumbers = 4_000_000;

    private readonly int _places;
    private readonly int _atPlace;
    private readonly Direction _direction;
    private readonly bool _ofMeans;
    private readonly double[] _numerators;                                    // [group, cell]
    private readonly double[] _denominators;                                  // [group, place]
    private readonly double[] _means;                                         // of the denominators, by place
    private readonly int[] _pairs;                                            // by place

    /// <summary>For the pairs of a sweep.</summary>
    /// <param name="places">How many places are told apart.</param>
    /// <param name="atPlace">How many patches were made at each.</param>
    /// <param name="groups">How many groups of pairs there are.</param>
    /// <param name="aggregation">How pairs come together.</param>
    /// <param name="direction">Which run was patched.</param>
    public GroupedEffects(int places, int atPlace, int groups, Aggregation aggregation, Direction direction)
    {
        _places = places;
        _atPlace = atPlace;
        _direction = direction;
        _ofMeans = aggregation == Aggregation.RatioOfMeans;
        Groups = groups;
        _numerators = new double[groups * Cells];
        _denominators = new double[groups * places];
        _means = new double[places];
        _pairs = new int[places];
        Effects = new double?[Cells];
    }

    /// <summary>How many groups there are.</summary>
    public int Groups { get; }

    /// <summary>How many cells there are.</summary>
    public int Cells => _places * _atPlace;

    /// <summary>The effect of each cell; null where there is none to take.</summary>
    public double?[] Effects { get; }

    /// <summary>How many groups there are of so many pairs.</summary>
    public static int GroupsOf(int pairs, int cells) => Math.Min(pairs, Math.Clamp(MostNumbers / cells, 50, MostGroups));

    /// <summary>Deals pairs out to groups, by chance, as evenly as can be; where each is one of its own, in their order.</summary>
    public static int[] Dealt(int pairs, int groups, int seed)
    {
        int[] places = [.. Enumerable.Range(0, pairs)];
        if (groups < pairs)
        {
            new Random(seed).Shuffle(places);
        }

        return [.. places.Select(place => place % groups)];
    }

    /// <summary>How many pairs have the place of a cell.</summary>
    public int PairsOf(int cell) => _pairs[cell / _atPlace];

    /// <summary>A pair has a place.</summary>
    /// <param name="group">The pair's group.</param>
    /// <param name="place">The place.</param>
    /// <param name="baseline">The pair's unpatched metrics.</param>
    public void Add(int group, int place, Baseline baseline)
    {
        var (from, to) = baseline.FromTo(_direction);
        _pairs[place]++;
        _denominators[(group * _places) + place] += _ofMeans ? to - from : 1;
    }

    /// <summary>Takes in some of the pair's patches at a place that it has.</summary>
    /// <param name="group">The pair's group.</param>
    /// <param name="place">The place.</param>
    /// <param name="baseline">The pair's unpatched metrics.</param>
    /// <param name="first">The first of the patches.</param>
    /// <param name="patched">The metrics of the patched runs.</param>
    public void Add(int group, int place, Baseline baseline, int first, ReadOnlySpan<double> patched)
    {
        var (from, to) = baseline.FromTo(_direction);
        int at = (group * Cells) + (place * _atPlace) + first;
        foreach (double metric in patched)
        {
            _numerators[at++] += _ofMeans ? metric - from : Effect.Of(metric, from, to);
        }
    }

    /// <summary>The effects, when every pair was taken in.</summary>
    public void Finish()
    {
        for (int place = 0; place < _places; place++)
        {
            double denominator = Enumerable.Range(0, Groups).Sum(group => _denominators[(group * _places) + place]);
            if (_pairs[place] == 0 || PairConditioning.IsDegenerate(denominator / _pairs[place]))
            {
                continue;
            }

            _means[place] = denominator / Groups;
            for (int cell = place * _atPlace; cell < (place + 1) * _atPlace; cell++)
            {
                Effects[cell] = Enumerable.Range(0, Groups).Sum(group => _numerators[(group * Cells) + cell]) / denominator;
            }
        }
    }

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

        int place = cell / _atPlace;
        return (_numerators[(group * Cells) + cell] - (effect * _denominators[(group * _places) + place])) / _means[place];
    }
}
