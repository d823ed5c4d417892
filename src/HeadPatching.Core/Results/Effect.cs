namespace HeadPatching.Core.Results;

/// <summary>
/// How much of the difference between two runs a patch makes: 0 where the patched run is as it was, 1 where it is as the run whose
/// activation was put in. Denoising it is (patched - corrupted) / (clean - corrupted); noising, where the clean run is patched, it is
/// (patched - clean) / (corrupted - clean), so that swapping the direction is the same as swapping the prompts.
/// </summary>
public static class Effect
{
    /// <summary>Below this |clean - corrupted| a pair is degenerate: there is no difference to restore, and its effects are 0.</summary>
    public const double DegenerateBelow = 1e-6;

    /// <summary>The effect of one patch.</summary>
    /// <param name="patched">The patched run's metric.</param>
    /// <param name="from">The metric of the run that is patched, unpatched.</param>
    /// <param name="to">The metric of the run whose activation is put in.</param>
    public static double Of(double patched, double from, double to) =>
        Math.Abs(to - from) < DegenerateBelow ? 0 : (patched - from) / (to - from);

    /// <summary>The effect's formula, as results say it.</summary>
    public static string Formula(Patching.Direction direction) =>
        direction == Patching.Direction.Denoise ? "(patched - corrupted) / (clean - corrupted)" : "(patched - clean) / (corrupted - clean)";

    /// <summary>One pair's part in the effect over pairs, which is the sum of the numerators by the sum of the denominators.</summary>
    /// <param name="aggregation">How the pairs come together.</param>
    /// <param name="patched">The patched run's metric.</param>
    /// <param name="from">The metric of the run that is patched, unpatched.</param>
    /// <param name="to">The metric of the run whose activation is put in.</param>
    public static (double Numerator, double Denominator) Part(Patching.Aggregation aggregation, double patched, double from, double to) =>
        aggregation == Patching.Aggregation.MeanOfRatios ? (Of(patched, from, to), 1) : (patched - from, to - from);

    /// <summary>The effect over pairs and its standard error.</summary>
    /// <param name="aggregation">How the pairs come together.</param>
    /// <param name="patched">The patched run's metric on each pair.</param>
    /// <param name="from">The metric of the run that is patched, on each pair.</param>
    /// <param name="to">The metric of the run whose activation is put in, on each pair.</param>
    /// <returns>
    /// The effect; and its standard error, null with fewer than two pairs. For the mean of ratios that is s / sqrt(n) of the effects; for
    /// the ratio of means the usual linearisation, s of (numerator - effect * denominator) / (|mean denominator| sqrt(n))
    /// (Cochran 1977, "Sampling Techniques", section 2.11).
    /// </returns>
    public static (double Effect, double? StandardError) Over(
        Patching.Aggregation aggregation, IReadOnlyList<double> patched, IReadOnlyList<double> from, IReadOnlyList<double> to)
    {
        if (aggregation == Patching.Aggregation.MeanOfRatios)
        {
            double[] effects = [.. patched.Select((value, i) => Of(value, from[i], to[i]))];
            return (effects.Average(), StandardError(effects));
        }

        double effect = Of(patched.Average(), from.Average(), to.Average());
        double difference = to.Average() - from.Average();
        if (Math.Abs(difference) < DegenerateBelow)
        {
            return (effect, patched.Count < 2 ? null : 0);
        }

        return (effect, StandardError([.. patched.Select((value, i) => (value - from[i] - (effect * (to[i] - from[i]))) / difference)]));
    }

    private static double? StandardError(double[] values)
    {
        if (values.Length < 2)
        {
            return null;
        }

        double mean = values.Average();
        double variance = values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1);
        return Math.Sqrt(variance / values.Length);
    }
}
