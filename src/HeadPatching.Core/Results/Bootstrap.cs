using System.Numerics;

namespace HeadPatching.Core.Results;

/// <summary>
/// Percentile bootstrap intervals over pairs (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13): pairs are drawn with
/// replacement, as many as there are; the effect is taken of the drawn pairs; the middle 95 % of the effects of many such draws are the interval.
/// The same seed gives the same draws on every machine, and every head gets the same draws.
/// </summary>
public static class Bootstrap
{
    /// <summary>How many draws are made: Efron and Tibshirani ask for 1,000 at least.</summary>
    public const int Resamples = 2000;

    private const double Confidence = 0.95;

    /// <summary>The intervals of many heads, each the ratio of two sums over the same pairs.</summary>
    /// <param name="seed">Of the draws.</param>
    /// <param name="numerators">[pair][head]; with <paramref name="denominators"/>, see <see cref="Effect.Part"/>.</param>
    /// <param name="denominators">[pair], the same for all heads.</param>
    /// <returns>One a head; nulls with fewer than two pairs, where nothing can be said.</returns>
    public static ConfidenceInterval?[] Intervals(int seed, double[][] numerators, double[] denominators)
    {
        int pairs = numerators.Length, heads = numerators[0].Length;
        if (pairs < 2)
        {
            return new ConfidenceInterval?[heads];
        }

        double[][] effects = [.. Enumerable.Range(0, heads).Select(_ => new double[Resamples])]; // [head][resample]
        var random = new Random(seed);
        int[] times = new int[pairs];                                         // how often each pair was drawn
        double[] sums = new double[heads];
        for (int resample = 0; resample < Resamples; resample++)
        {
            Array.Clear(times);
            Array.Clear(sums);
            for (int draw = 0; draw < pairs; draw++)
            {
                times[random.Next(pairs)]++;
            }

            double denominator = 0;
            for (int pair = 0; pair < pairs; pair++)
            {
                if (times[pair] > 0)
                {
                    denominator += times[pair] * denominators[pair];
                    AddTimes(sums, times[pair], numerators[pair]);
                }
            }

            for (int head = 0; head < heads; head++)
            {
                effects[head][resample] = Effect.Of(sums[head] / pairs, 0, denominator / pairs);
            }
        }

        return [.. effects.Select(Interval)];
    }

    /// <summary>The k-th smallest and k-th largest, k = (resamples + 1) 2.5 % rounded down.</summary>
    private static ConfidenceInterval? Interval(double[] effects)
    {
        Array.Sort(effects);
        int k = (int)((effects.Length + 1) * (1 - Confidence) / 2);
        return new ConfidenceInterval(effects[k - 1], effects[^k]);
    }

    /// <summary>sums += times * values. Each element by itself, so that the width of the machine's vectors changes no digit.</summary>
    private static void AddTimes(double[] sums, double times, double[] values)
    {
        int i = 0;
        for (; i <= sums.Length - Vector<double>.Count; i += Vector<double>.Count)
        {
            (new Vector<double>(sums, i) + (times * new Vector<double>(values, i))).CopyTo(sums, i);
        }

        for (; i < sums.Length; i++)
        {
            sums[i] += times * values[i];
        }
    }
}
