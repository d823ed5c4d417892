using HeadPatching.Core.Patching;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>The effect of one patch over pairs.</summary>
/// <param name="Effect">The effect; 0 where there is no pair to take it of.</param>
/// <param name="StandardError">Its standard error; null with fewer than two pairs.</param>
/// <param name="Interval">Its 95 % interval; null with fewer than <see cref="ConfidenceInterval.LeastPairs"/> pairs.</param>
/// <param name="Pairs">Of how many pairs it is.</param>
public readonly record struct PooledEffect(double Effect, double? StandardError, ConfidenceInterval? Interval, int Pairs);

/// <summary>Brings the pairs of a sweep together: the one place where the effects of a head on pairs become one number.</summary>
internal sealed class EffectOverPairs
{
    private readonly Aggregation _aggregation;
    private readonly Direction _direction;

    /// <summary>For the pairs of a sweep.</summary>
    /// <param name="aggregation">How they come together.</param>
    /// <param name="direction">Which run is patched.</param>
    /// <param name="pairs">All pairs of the sweep: their indices and their unpatched metrics.</param>
    public EffectOverPairs(Aggregation aggregation, Direction direction, IEnumerable<(int Index, Baseline Baseline)> pairs)
    {
        _aggregation = aggregation;
        _direction = direction;
        Conditioning = new PairConditioning(aggregation, pairs);
    }

    /// <summary>Which of the pairs are taken.</summary>
    public PairConditioning Conditioning { get; }

    /// <summary>Takes the effect of one patch on one pair in.</summary>
    /// <param name="moments">Those of the patch over the pairs before.</param>
    /// <param name="baseline">The pair's unpatched metrics.</param>
    /// <param name="patched">The patched run's metric.</param>
    public void Add(ref EffectMoments moments, Baseline baseline, double patched)
    {
        var (from, to) = baseline.FromTo(_direction);
        if (_aggregation == Aggregation.RatioOfMeans)
        {
            moments.Add(patched - from, to - from);
        }
        else
        {
            moments.Add(Effect.Of(patched, from, to), 1);
        }
    }

    /// <summary>The effect of one patch over the pairs that were taken in.</summary>
    /// <returns>
    /// The standard error is s / sqrt(n) of the effects for a mean of ratios; for the ratio of means the usual linearisation, s of
    /// (numerator - effect * denominator) / (|mean denominator| sqrt(n)) (Cochran 1977, "Sampling Techniques", section 2.11).
    /// </returns>
    public static PooledEffect Pooled(in EffectMoments moments)
    {
        int pairs = moments.Count;
        if (PairConditioning.IsDegenerate(moments.MeanY))
        {
            return new PooledEffect(0, null, null, pairs);
        }

        var (effect, squares, cubes) = Residuals(moments);
        double? error = pairs < 2 ? null : Math.Sqrt(squares / (pairs - 1) / pairs);
        return new PooledEffect(effect, error, ConfidenceInterval.Of(effect, pairs, squares, cubes), pairs);
    }

    /// <summary>Its interval among those of many that are asked at once; null where it has none.</summary>
    /// <param name="moments">Those of the patch.</param>
    /// <param name="miss">How often it may leave out what it should hold.</param>
    public static ConfidenceInterval? Joint(in EffectMoments moments, double miss)
    {
        if (PairConditioning.IsDegenerate(moments.MeanY))
        {
            return null;
        }

        var (effect, squares, cubes) = Residuals(moments);
        return ConfidenceInterval.JointOf(effect, moments.Count, squares, cubes, miss);
    }

    private static (double Effect, double Squares, double Cubes) Residuals(in EffectMoments moments)
    {
        double denominator = moments.MeanY, effect = moments.MeanX / denominator;
        var (squares, cubes) = moments.OfResiduals(effect);
        return (effect, squares / (denominator * denominator), cubes / (denominator * denominator * denominator));
    }
}
