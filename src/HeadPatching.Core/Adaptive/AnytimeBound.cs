using MathNet.Numerics.Distributions;

namespace HeadPatching.Core.Adaptive;

/// <summary>
/// How many standard errors a mean over pairs drawn without replacement may be off, at every number of pairs at once: the mixture boundary of Robbins, asymptotic as in
/// Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52.
/// </summary>
/// <remarks>
/// Of R pairs n are drawn. (n / (R - n)) (mean of n - mean of R) is a martingale (Serfling 1974, "Probability inequalities for the sum in sampling without replacement",
/// Annals of Statistics 2) whose variance grows as n / (R (R - n)), its own clock: it never ends, so that the bound shrinks to nothing as the pairs run out. With
/// v that clock times a constant, the martingale stays within sqrt((1 + 1 / v) (ln(1 + v) - 2 ln miss)) standard deviations at all times but with probability
/// <c>miss</c>. The constant makes it tightest at <see cref="TightestAt"/> pairs, and it is hardly wider anywhere else.
/// </remarks>
internal sealed class AnytimeBound
{
    /// <summary>At how many pairs the bound is tightest: where the heads near the threshold are decided.</summary>
    public const int TightestAt = 30;

    private readonly int _pairs;
    private readonly double _logarithm;                                       // -2 ln miss
    private readonly double _scale;

    /// <summary>For pairs drawn of so many.</summary>
    /// <param name="pairs">How many there are.</param>
    /// <param name="miss">How often the bound may be crossed at any time.</param>
    public AnytimeBound(int pairs, double miss)
    {
        _pairs = pairs;
        _logarithm = -2 * Math.Log(miss);
        double tightest = _logarithm;                                         // where the derivative is 0: v = ln(1 + v) - 2 ln miss
        for (int step = 0; step < 50; step++)
        {
            tightest = Math.Log(1 + tightest) + _logarithm;
        }

        _scale = tightest / Clock(Math.Max(1, Math.Min(TightestAt, pairs / 2)));
    }

    /// <summary>
    /// How often an interval over n pairs, fewer than all, may miss by itself so that it holds with those over every other number of pairs: the share of a normal
    /// distribution that is beyond the bound. Made into Student's t it is the same bound for many pairs, and a wider one over few, whose spread is not well known.
    /// </summary>
    public double MissAt(int n)
    {
        double v = _scale * Clock(n);
        return 2 * Normal.CDF(0, 1, -Math.Sqrt((1 + (1 / v)) * (Math.Log(1 + v) + _logarithm)));
    }

    private double Clock(int n) => n / (_pairs * (double)(_pairs - n));
}
