using HeadPatching.Core.Patching;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Adaptive;

/// <summary>
/// All pairs of a sweep, before any head is run on one: what an adaptive sweep says something about. Pairs are known by their places among those that the
/// sweep's effects are made of, from 0.
/// </summary>
/// <param name="Indices">The pairs' indices in the dataset, by place.</param>
/// <param name="Heads">How many heads there are.</param>
public sealed record AdaptivePopulation(IReadOnlyList<int> Indices, int Heads)
{
    /// <summary>
    /// Below this fraction of the median pair's |clean - corrupted| a pair is certain to be run: dividing by so little makes the variance of its effect more than six times the median pair's.
    /// Where a corruption changes the answer, there are hardly such pairs.
    /// </summary>
    public const double CertainBelow = 0.4;

    /// <summary>How many pairs there are.</summary>
    public int Pairs => Indices.Count;

    /// <summary>
    /// Pairs that are run first, whatever the seed, by their places, ascending: those whose effects may be as large as all others together, of which no sample of
    /// others tells (a certainty stratum: Särndal, Swensson and Wretman 1992, "Model Assisted Survey Sampling", section 3.7).
    /// </summary>
    public IReadOnlyList<int> Certain { get; init; } = [];

    /// <summary>By head, of the estimated effects on all pairs that are not <see cref="Certain"/>; null where there are no estimates.</summary>
    public IReadOnlyList<EstimateSpread>? Estimates { get; init; }

    /// <summary>
    /// The pairs that a mean of effects is made of. Certain are those that are close beside the others: whose clean and corrupted metric are less than
    /// <see cref="CertainBelow"/> of the median pair's apart.
    /// </summary>
    /// <param name="aggregation">Which mean.</param>
    /// <param name="pairs">The indices of all pairs, and their unpatched metrics.</param>
    /// <param name="heads">How many heads there are.</param>
    /// <exception cref="ArgumentException">The aggregation is not a mean of the pairs' own effects.</exception>
    public static AdaptivePopulation Of(Aggregation aggregation, IReadOnlyList<(int Index, Baseline Baseline)> pairs, int heads)
    {
        if (aggregation == Aggregation.RatioOfMeans)
        {
            throw new ArgumentException("A ratio of means is no mean of the pairs' own effects.", nameof(aggregation));
        }

        var conditioning = new PairConditioning(aggregation, pairs);
        (int Index, double Difference)[] taken = [.. pairs.Where(pair => conditioning.Takes(pair.Index)).Select(pair => (pair.Index, Math.Abs(pair.Baseline.Clean - pair.Baseline.Corrupted)))];
        return new AdaptivePopulation([.. taken.Select(pair => pair.Index)], heads)
        {
            Certain = [.. taken.Index().Where(pair => pair.Item.Difference < CertainBelow * conditioning.MedianDifference).Select(pair => pair.Index)],
        };
    }
}

/// <summary>What the estimates of a head are over the pairs that are drawn from.</summary>
/// <param name="Mean">Their mean.</param>
/// <param name="Variance">The mean of the squares of what they are apart from it.</param>
public readonly record struct EstimateSpread(double Mean, double Variance)
{
    /// <summary>Of these estimates.</summary>
    public static EstimateSpread Of(IReadOnlyCollection<double> estimates)
    {
        double mean = estimates.Average();
        return new EstimateSpread(mean, estimates.Average(estimate => (estimate - mean) * (estimate - mean)));
    }

    /// <summary>A spread over estimates that come one after another (Welford 1962, "Note on a method for calculating corrected sums of squares and products", Technometrics 4).</summary>
    public struct Sum
    {
        private int _count;
        private double _mean;
        private double _squares;

        /// <summary>Takes one in.</summary>
        public void Add(double estimate)
        {
            double before = estimate - _mean;
            _mean += before / ++_count;
            _squares += before * (estimate - _mean);
        }

        /// <summary>The spread of those that were taken in; at least one.</summary>
        public readonly EstimateSpread Spread() => new(_mean, _squares / _count);
    }
}

/// <summary>The effects of some heads on a pair.</summary>
/// <param name="Exact">What their runs gave, in the order of the round's heads.</param>
/// <param name="Estimates">What their estimates say, in the same order; null where there are none.</param>
public readonly record struct PairEffects(IReadOnlyList<double> Exact, IReadOnlyList<double>? Estimates);
