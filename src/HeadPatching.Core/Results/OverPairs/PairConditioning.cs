using System.Globalization;
using HeadPatching.Core.Patching;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>Why a pair has no part in the effects over pairs.</summary>
public enum Exclusion
{
    /// <summary>Clean and corrupted metric are the same (within <see cref="Effect.DegenerateBelow"/>): there is no effect.</summary>
    Degenerate,

    /// <summary>They are so close beside the other pairs' that its effect is mostly the error of its runs.</summary>
    IllConditioned,
}

/// <summary>A pair that has no part in the effects over pairs.</summary>
/// <param name="Index">Its index in the dataset, from 0.</param>
/// <param name="Reason">Why.</param>
public sealed record ExcludedPair(int Index, Exclusion Reason);

/// <summary>
/// Which pairs the effects over pairs are made of. It looks at the clean and the corrupted runs alone, so that no choice can favour a head.
/// </summary>
public sealed class PairConditioning
{
    /// <summary>
    /// Below this fraction of the median pair's |clean - corrupted| a pair is ill-conditioned. Whatever else moves a patched run is divided by
    /// that difference: at a tenth of the median, the pair's effect has a hundred times the variance of the median pair's, and of up to a
    /// hundred pairs it alone decides the mean.
    /// </summary>
    public const double IllConditionedBelow = 0.1;

    /// <summary>A warning about pairs names so many of them, and counts the others.</summary>
    private const int MostNamed = 10;

    private readonly Aggregation _aggregation;
    private readonly (int Index, double Difference)[] _pairs;                 // clean - corrupted
    private readonly HashSet<int> _excluded;

    /// <summary>Looks at the pairs of a sweep.</summary>
    /// <param name="aggregation">How they come together.</param>
    /// <param name="pairs">Their indices and their unpatched metrics.</param>
    public PairConditioning(Aggregation aggregation, IEnumerable<(int Index, Baseline Baseline)> pairs)
    {
        _aggregation = aggregation;
        _pairs = [.. pairs.Select(pair => (pair.Index, pair.Baseline.Clean - pair.Baseline.Corrupted))];
        MedianDifference = Median([.. _pairs.Where(pair => !IsDegenerate(pair.Difference)).Select(pair => Math.Abs(pair.Difference))]);
        Excluded =
        [
            .. from pair in _pairs
               let reason = Reason(pair.Difference)
               where reason is not null
               select new ExcludedPair(pair.Index, reason.Value),
        ];
        _excluded = [.. Excluded.Select(pair => pair.Index)];
    }

    /// <summary>The median of the pairs' |clean - corrupted|, the degenerate left out.</summary>
    internal double MedianDifference { get; }

    /// <summary>
    /// The pairs that are left out, in the order in which they were given: of a mean of ratios the degenerate ones, of the well-conditioned
    /// mean the ill-conditioned ones as well, of a ratio of means none (their metrics are as good as any in the sums).
    /// </summary>
    public IReadOnlyList<ExcludedPair> Excluded { get; }

    /// <summary>Whether clean and corrupted metric are the same, so that there is no effect.</summary>
    /// <param name="difference">clean - corrupted, or the other way round.</param>
    public static bool IsDegenerate(double difference) => Math.Abs(difference) < Effect.DegenerateBelow;

    /// <summary>Whether a pair has a part in the effects over pairs.</summary>
    public bool Takes(int pair) => !_excluded.Contains(pair);

    /// <summary>What to know of single pairs before trusting the effects.</summary>
    public IEnumerable<string> Warnings()
    {
        int[] degenerate = [.. _pairs.Where(pair => IsDegenerate(pair.Difference)).Select(pair => pair.Index)];
        if (degenerate.Length > 0)
        {
            string what = _aggregation == Aggregation.RatioOfMeans ? "their metrics count in the means as they are" : "left out of the mean";
            yield return $"{degenerate.Length} of {_pairs.Length} pairs are degenerate (clean and corrupted metric are the same), {what}: {Named(degenerate)}.";
        }

        if (_aggregation != Aggregation.RatioOfMeans && degenerate.Length == _pairs.Length)
        {
            yield return "No pair is left to take a mean of: every effect is given as 0 and says nothing.";
        }

        if (_aggregation == Aggregation.RatioOfMeans)
        {
            if (DenominatorMayBeZero() is string warning)
            {
                yield return warning;
            }

            yield break;
        }

        (int Index, double Difference)[] illConditioned = [.. _pairs.Where(pair => !IsDegenerate(pair.Difference) && IsIllConditioned(pair.Difference))];
        foreach (var (index, difference) in illConditioned.Take(MostNamed))
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"Pair {index}: clean and corrupted are {Math.Abs(difference):G3} apart, the median pair's {MedianDifference:G3}: {Consequence()}.");
        }

        if (illConditioned.Length > MostNamed)
        {
            yield return $"{illConditioned.Length - MostNamed} more pairs are as close: {Consequence()}.";
        }
    }

    /// <summary>The indices of pairs, the first ten of them: <c>1, 4, 6</c>.</summary>
    internal static string Named(IReadOnlyList<int> pairs) => string.Join(", ", pairs.Take(MostNamed))
        + (pairs.Count > MostNamed ? $" and {pairs.Count - MostNamed} more" : "");

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values.Length == 0 ? 0 : (values[(values.Length - 1) / 2] + values[values.Length / 2]) / 2;
    }

    private Exclusion? Reason(double difference) => _aggregation switch
    {
        Aggregation.RatioOfMeans => null,
        _ when IsDegenerate(difference) => Exclusion.Degenerate,
        Aggregation.WellConditionedMean when IsIllConditioned(difference) => Exclusion.IllConditioned,
        _ => null,
    };

    private bool IsIllConditioned(double difference) => Math.Abs(difference) < IllConditionedBelow * MedianDifference;

    private string Consequence() => _aggregation == Aggregation.WellConditionedMean
        ? "left out of the mean"
        : "it may rule the mean (the aggregation well-conditioned-mean leaves it out)";

    /// <summary>The denominator of a ratio of means is itself a mean over pairs; where they cancel and it may as well be 0, the ratio may be anything.</summary>
    private string? DenominatorMayBeZero()
    {
        double mean = _pairs.Average(pair => pair.Difference);
        bool cancels = _pairs.Any(pair => pair.Difference > 0) && _pairs.Any(pair => pair.Difference < 0);
        return cancels && ConfidenceInterval.SymmetricOf(mean, _pairs.Length, _pairs.Sum(pair => (pair.Difference - mean) * (pair.Difference - mean))) is { } interval && interval.Contains(0)
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"The ratio of means divides by {mean:G3}, whose own 95 % interval, {interval.Low:G3} to {interval.High:G3}, holds 0: clean - corrupted cancels between pairs, and the ratio may be anything.")
            : null;
    }
}
