using HeadPatching.Core.Patching;

namespace HeadPatching.Core.Results;

/// <summary>The effect of one patch over pairs.</summary>
/// <param name="Effect">The effect; 0 where there is no pair to take it of.</param>
/// <param name="StandardError">Its standard error; null with fewer than two pairs.</param>
/// <param name="Interval">Its 95 % interval; null with fewer than <see cref="ConfidenceInterval.LeastPairs"/> pairs.</param>
/// <param name="Pairs">Of how many pairs it is.</param>
public readonly record struct PooledEffect(double Effect, double? StandardError, ConfidenceInterval? Interval, int Pairs);

/// <summary>Brings the pairs of a sweep together: the one place where the effects of a head on pairs become one number.</summary>
public sealed class EffectOverPairs
{
    private readonly Aggregation _aggregation;
    private readonly bool _denoise;
    private readonly IReadOnlyDictionary<int, Baseline> _baselines;

    /// <summary>For the pairs of a sweep.</summary>
    /// <param name="aggregation">How they come together.</param>
    /// <param name="direction">Which run is patched.</param>
    /// <param name="pairs">All pairs of the sweep, by index.</param>
    /// <param name="baselines">Their unpatched metrics, by index.</param>
    public EffectOverPairs(Aggregation aggregation, Direction direction, IEnumerable<int> pairs, IReadOnlyDictionary<int, Baseline> baselines)
    {
        _aggregation = aggregation;
        _denoise = direction == Direction.Denoise;
        _baselines = baselines;
        Conditioning = new PairConditioning(aggregation, pairs.Select(pair => (pair, baselines[pair])));
    }

    /// <summary>Which of the pairs are taken.</summary>
    public PairConditioning Conditioning { get; }

    /// <summary>The metric of the run that is patched, unpatched.</summary>
    public double From(int pair) => _denoise ? _baselines[pair].Corrupted : _baselines[pair].Clean;

    /// <summary>The metric of the run whose activation is put in.</summary>
    public double To(int pair) => _denoise ? _baselines[pair].Clean : _baselines[pair].Corrupted;

    /// <summary>The effect of one patch over those of the pairs that are taken.</summary>
    /// <param name="patched">The patched run's metric by the pair's index, of all pairs that have this patch (its position may be before a short prompt).</param>
    /// <returns>
    /// The standard error is s / sqrt(n) of the effects for a mean of ratios; for the ratio of means the usual linearisation, s of
    /// (numerator - effect * denominator) / (|mean denominator| sqrt(n)) (Cochran 1977, "Sampling Techniques", section 2.11).
    /// </returns>
    public PooledEffect Of(IEnumerable<(int Pair, double Metric)> patched)
    {
        (double Numerator, double Denominator)[] parts = [.. patched.Where(one => Conditioning.Takes(one.Pair)).Select(Part)];
        double denominator = parts.Length == 0 ? 0 : parts.Average(part => part.Denominator);
        if (PairConditioning.IsDegenerate(denominator))
        {
            return new PooledEffect(0, null, null, parts.Length);
        }

        double effect = parts.Average(part => part.Numerator) / denominator;
        double[] deviations = [.. parts.Select(part => (part.Numerator - (effect * part.Denominator)) / denominator)];
        double? error = parts.Length < 2 ? null : Math.Sqrt(deviations.Sum(deviation => deviation * deviation) / (parts.Length - 1) / parts.Length);
        return new PooledEffect(effect, error, ConfidenceInterval.Of(effect, deviations), parts.Length);

        (double Numerator, double Denominator) Part((int Pair, double Metric) one)
        {
            double from = From(one.Pair), to = To(one.Pair);
            return _aggregation == Aggregation.RatioOfMeans ? (one.Metric - from, to - from) : (Effect.Of(one.Metric, from, to), 1);
        }
    }
}
