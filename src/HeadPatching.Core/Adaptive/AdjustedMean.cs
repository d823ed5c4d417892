using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Adaptive;

/// <summary>
/// A head's effect over all pairs, from its runs on some and its estimates on all: the regression estimator of a finite population (Cochran 1977, "Sampling Techniques",
/// chapter 7), mean of the runs + slope (mean of all estimates - mean of these pairs' estimates). A good estimate takes away most of the spread between pairs; a bad one takes
/// away none, and the slope goes to 0.
/// </summary>
internal struct AdjustedMean
{
    private EffectMoments _drawn;                                             // (exact, estimate)
    private double _certain;                                                  // sum of the effects of pairs that had to be run
    private int _certainPairs;

    /// <summary>On how many pairs the head was run.</summary>
    public readonly int Pairs => _drawn.Count + _certainPairs;

    /// <summary>Takes in the effect on a pair that had to be run.</summary>
    public void AddCertain(double exact)
    {
        _certain += exact;
        _certainPairs++;
    }

    /// <summary>Takes in the effect on a pair that was drawn.</summary>
    public void Add(double exact, double estimate) => _drawn.Add(exact, estimate);

    /// <summary>
    /// The effect over all pairs, and the interval that holds it; over all pairs that interval is the effect. There is none where estimates differ, but not on the pairs that were
    /// drawn: those are not as the others.
    /// </summary>
    /// <param name="population">All pairs.</param>
    /// <param name="estimates">The head's estimates; null where there are none.</param>
    /// <param name="bound">How far the mean may be off.</param>
    public readonly (double Effect, ConfidenceInterval? Interval) Over(AdaptivePopulation population, EstimateSpread? estimates, AnytimeBound bound)
    {
        int rest = population.Pairs - population.Certain.Count, n = _drawn.Count;
        if (n == rest)
        {
            double whole = ((n * _drawn.MeanX) + _certain) / population.Pairs;
            return (whole, new ConfidenceInterval(whole, whole));
        }

        double slope = estimates is null ? 0 : _drawn.Slope, away = (estimates?.Mean ?? 0) - _drawn.MeanY;
        int freedom = n - (slope == 0 ? 1 : 2);
        var (squares, cubes) = _drawn.OfResiduals(slope);
        double share = rest / (double)population.Pairs, effect = ((rest * (_drawn.MeanX + (slope * away))) + _certain) / population.Pairs;
        double spread = estimates?.Variance ?? 0;
        if (spread > 0 && _drawn.SquaresY == 0)
        {
            return (effect, null);
        }

        if (squares == 0)
        {
            return (effect, new ConfidenceInterval(effect, effect));
        }

        // Of the residuals' mean, and of the slope where these pairs' estimates are not as all pairs' are. Where estimates spread further over all pairs than over these, so may what they leave.
        double variance = squares / freedom * ((1.0 / n) - (1.0 / rest) + (slope == 0 ? 0 : away * away / _drawn.SquaresY));
        variance *= spread > 0 ? Math.Max(1, spread * n / _drawn.SquaresY) : 1;
        return (effect, ConfidenceInterval.JointOf(effect, share * Math.Sqrt(variance), cubes / Math.Pow(squares, 1.5), freedom, bound.MissAt(n)));
    }
}
