using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Adaptive;

/// <summary>
/// A head's effect over all pairs, from its runs on some and its estimates on all: the regression estimator of a finite population (Cochran 1977, "Sampling Techniques",
/// chapter 7), mean of the runs + slope (mean of all estimates - mean of these pairs' estimates). A good estimate takes away most of the spread between pairs; a bad one takes
/// away none, and the slope goes to 0.
/// </summary>
internal struct AdjustedMean
{
    /// <summary>
    /// Of n pairs without one of some kind up to 3 / n of all may be of it (the rule of three, at 95 %: Hanley and Lippman-Hand 1983, "If nothing goes wrong, is everything all
    /// right?", JAMA 249).
    /// </summary>
    private const double RuleOfThree = 3;

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
    /// <param name="ofFewPairs">Whether effects may be those of a few pairs alone (<see cref="AdaptiveOptions.OfFewPairs"/>).</param>
    public readonly (double Effect, ConfidenceInterval? Interval) Over(AdaptivePopulation population, EstimateSpread? estimates, AnytimeBound bound, bool ofFewPairs)
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

        // On pairs of a kind that was not drawn the estimate may be as wrong as it is large: all that is known of them is how far their estimates spread.
        double residual = (squares / freedom) + (ofFewPairs ? RuleOfThree / n * spread : 0), least = ofFewPairs ? ConfidenceInterval.LeastEffect : 0;
        if (residual == 0)
        {
            return (effect, new ConfidenceInterval(effect - least, effect + least));
        }

        // Of the residuals' mean, and of the slope where these pairs' estimates are not as all pairs' are. Where estimates spread further over all pairs than over these, so may what they leave.
        double variance = residual * ((1.0 / n) - (1.0 / rest) + (slope == 0 ? 0 : away * away / _drawn.SquaresY));
        variance *= spread > 0 ? Math.Max(1, spread * n / _drawn.SquaresY) : 1;
        double skewness = squares == 0 ? 0 : cubes / Math.Pow(squares, 1.5);
        ConfidenceInterval within = ConfidenceInterval.JointOf(effect, share * Math.Sqrt(variance), skewness, freedom, bound.MissAt(n));
        return (effect, new ConfidenceInterval(Math.Min(within.Low, effect - least), Math.Max(within.High, effect + least)));
    }
}
