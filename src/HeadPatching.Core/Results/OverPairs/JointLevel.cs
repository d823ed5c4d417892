using MathNet.Numerics.Distributions;
using MathNet.Numerics.Statistics;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>
/// How often the interval of each single cell may leave out what it should hold, for all of them together to leave out nothing in 95 of 100 sweeps (or
/// comparisons). Found by a bootstrap over pairs of the largest deviation, so that it knows how the cells hang together: of cells that move as one it is
/// hardly less than 5 %, of independent ones as little as Bonferroni's (Westfall and Young 1993, "Resampling-Based Multiple Testing", section 2.3; that
/// intervals of a kind of their own may be made at the level found so: Beran 1988, "Balanced simultaneous confidence sets", JASA 83, 679-686). A few
/// pairs seem to hang together whatever they are, so that over fewer than <see cref="LeastPairs"/> it is Bonferroni's.
/// </summary>
internal static class JointLevel
{
    /// <summary>Over fewer pairs it is Bonferroni's.</summary>
    public const int LeastPairs = 20;

    /// <summary>Bonferroni's level.</summary>
    /// <param name="varying">How many cells vary; of the others there is nothing to leave out.</param>
    public static double Bonferroni(int varying) => ConfidenceInterval.Miss / Math.Max(1, varying);

    /// <summary>Draws pairs again and finds it.</summary>
    /// <inheritdoc cref="PairDraws.Each"/>
    public static double Of(PairDraws pairs, int draws, int seed, CancellationToken cancellationToken)
    {
        var largest = new double[draws];
        if (pairs.Least >= LeastPairs)
        {
            pairs.Each(draws, seed, (draw, moved) => largest[draw] = Largest(moved), cancellationToken);
        }

        return Of(pairs, largest);
    }

    /// <summary>Finds it.</summary>
    /// <param name="pairs">What was drawn from.</param>
    /// <param name="largest">Of each draw the <see cref="Largest"/> move.</param>
    public static double Of(PairDraws pairs, double[] largest)
    {
        double bonferroni = Bonferroni(pairs.Varying);
        if (pairs.Least < LeastPairs)
        {
            return bonferroni;
        }

        // 1.96 of a single cell, more of several. A bootstrap does not know how few pairs it draws from: the interval that is made at this level does.
        double quantile = largest.Quantile(1 - ConfidenceInterval.Miss);
        return Math.Clamp(2 * Normal.CDF(0, 1, -quantile), bonferroni, ConfidenceInterval.Miss);
    }

    /// <summary>How far the draw moved the cell that it moved furthest.</summary>
    public static double Largest(ReadOnlySpan<double> moved)
    {
        double largest = 0;
        foreach (double one in moved)
        {
            largest = Math.Max(largest, Math.Abs(one));
        }

        return largest;
    }
}
