using System.Numerics;
using System.Runtime.InteropServices;
using HeadPatching.Core.Results.OverPairs;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.Statistics;

namespace HeadPatching.Core.Results.Comparing;

/// <summary>
/// How often the interval of each single cell may leave out what it should hold, for all of them together to leave out nothing in 95 of 100 comparisons.
/// Found by a bootstrap over pairs of the largest deviation, so that it knows how the cells hang together: of cells that move as one it is
/// hardly less than 5 %, of independent ones as little as Bonferroni's (Westfall and Young 1993, "Resampling-Based Multiple Testing", section 2.3; that
/// intervals of a kind of their own may be made at the level found so: Beran 1988, "Balanced simultaneous confidence sets", JASA 83, 679-686). A few
/// pairs seem to hang together whatever they are, so that over fewer than <see cref="LeastPairs"/> it is Bonferroni's.
/// </summary>
internal static class JointLevel
{
    /// <summary>Fewer pairs are not drawn from.</summary>
    public const int LeastPairs = 20;

    /// <summary>Draws that are made at once: their weights are in memory together.</summary>
    private const int DrawsAtOnce = 256;

    /// <summary>Finds it.</summary>
    /// <param name="samples">
    /// What each pair (or group of pairs) adds to the differences beside the others, [row, cell], the sum of each column 0: the pairs in common, or first
    /// those of the one sweep and then those of the other, each drawn again among its own.
    /// </param>
    /// <param name="rows">How many rows each sample has.</param>
    /// <param name="cells">How many columns there are.</param>
    /// <param name="draws">How often pairs are drawn again.</param>
    /// <param name="seed">Of the draws.</param>
    /// <param name="cancellationToken">Looked at between draws.</param>
    public static double Of(double[] samples, IReadOnlyList<int> rows, int cells, int draws, int seed, CancellationToken cancellationToken)
    {
        int width = (cells + Vector<double>.Count - 1) / Vector<double>.Count * Vector<double>.Count, count = rows.Sum();
        double[] standardised = Standardised(samples, count, cells, width, out int varying);
        double bonferroni = ConfidenceInterval.Miss / Math.Max(1, varying);
        if (rows.Min() < LeastPairs)
        {
            return bonferroni;
        }

        var random = new Random(seed);
        var weights = new int[DrawsAtOnce * count];                           // [draw, row]: how often a row was drawn
        var largest = new double[draws];
        for (int start = 0; start < draws; start += DrawsAtOnce)
        {
            int now = Math.Min(DrawsAtOnce, draws - start);
            Draw(random, weights.AsSpan(0, now * count), rows);
            int first = start;
            Parallel.For(0, now, new ParallelOptions { CancellationToken = cancellationToken }, draw =>
                largest[first + draw] = LargestSum(standardised, weights.AsSpan(draw * count, count), width));
        }

        // 1.96 of a single cell, more of several. A bootstrap does not know how few pairs it draws from: the interval that is made at this level does.
        double quantile = largest.Quantile(1 - ConfidenceInterval.Miss);
        return Math.Clamp(2 * Normal.CDF(0, 1, -quantile), bonferroni, ConfidenceInterval.Miss);
    }

    // Each column divided by the standard deviation of its sum over drawn rows: cells that vary much and little count alike. One that does not vary is 0.
    private static double[] Standardised(double[] samples, int rows, int cells, int width, out int varying)
    {
        var squares = new double[cells];
        for (int row = 0; row < rows; row++)
        {
            for (int cell = 0; cell < cells; cell++)
            {
                squares[cell] += samples[(row * cells) + cell] * samples[(row * cells) + cell];
            }
        }

        varying = squares.Count(square => square > 0);
        var standardised = new double[rows * width];
        for (int row = 0; row < rows; row++)
        {
            for (int cell = 0; cell < cells; cell++)
            {
                standardised[(row * width) + cell] = squares[cell] > 0 ? samples[(row * cells) + cell] / Math.Sqrt(squares[cell]) : 0;
            }
        }

        return standardised;
    }

    private static void Draw(Random random, Span<int> weights, IReadOnlyList<int> rows)
    {
        weights.Clear();
        for (int start = 0; start < weights.Length;)
        {
            foreach (int count in rows)
            {
                for (int drawn = 0; drawn < count; drawn++)
                {
                    weights[start + random.Next(count)]++;
                }

                start += count;
            }
        }
    }

    private static double LargestSum(double[] standardised, ReadOnlySpan<int> weights, int width)
    {
        var sums = new Vector<double>[width / Vector<double>.Count];
        ReadOnlySpan<Vector<double>> all = MemoryMarshal.Cast<double, Vector<double>>(standardised);
        for (int row = 0; row < weights.Length; row++)
        {
            if (weights[row] == 0)
            {
                continue;
            }

            var weight = new Vector<double>(weights[row]);
            ReadOnlySpan<Vector<double>> of = all.Slice(row * sums.Length, sums.Length);
            for (int cell = 0; cell < sums.Length; cell++)
            {
                sums[cell] += weight * of[cell];
            }
        }

        return MemoryMarshal.Cast<Vector<double>, double>(sums).ToArray().Max(Math.Abs);
    }
}
