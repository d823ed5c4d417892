using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Tests.Results;

/// <summary>The intervals of effects, from what each pair adds.</summary>
public class ConfidenceIntervalTests
{
    [Fact]
    public void Fewer_than_five_pairs_have_no_interval()
    {
        Assert.Null(Of([1, 2, 3, 4]));
        Assert.NotNull(Of([1, 2, 3, 4, 5]));
    }

    /// <summary>Of 1 to 5 the mean is 3, s is sqrt(2.5), and the 97.5 % quantile of t with 4 degrees of freedom 2.776445.</summary>
    [Fact]
    public void A_sample_without_skewness_has_the_interval_of_Student()
    {
        ConfidenceInterval interval = Of([1, 2, 3, 4, 5])!.Value;
        Assert.Equal(3 - (2.776445105 * Math.Sqrt(0.5)), interval.Low, 1e-9);
        Assert.Equal(3 + (2.776445105 * Math.Sqrt(0.5)), interval.High, 1e-9);
        Assert.Equal(new ConfidenceInterval(2, 2), Of([2, 2, 2, 2, 2, 2]));
    }

    /// <summary>
    /// The ends are those where Hall's transform of t, t + a t^2 / 3 + a^2 t^3 / 27 + a / 6 with a = skewness / sqrt(n), is the quantile of
    /// Student's t (here with 5 degrees of freedom), found by halving.
    /// </summary>
    [Fact]
    public void A_skewed_sample_has_the_ends_of_the_transformed_t()
    {
        ConfidenceInterval interval = Of([1, 2, 4, 8, 16, 32])!.Value;
        Assert.Equal(1.2779357, interval.Low, 1e-6);
        Assert.Equal(61.4272488, interval.High, 1e-6);
    }

    [Fact]
    public void Turning_or_scaling_the_sample_does_the_same_to_its_interval()
    {
        double[] sample = [0.1, 0.4, -0.2, 0.9, 3, 0.05];
        ConfidenceInterval interval = Of(sample)!.Value, other = Of([.. sample.Select(value => 7 - (2 * value))])!.Value;
        Assert.Equal(7 - (2 * interval.High), other.Low, 1e-9);
        Assert.Equal(7 - (2 * interval.Low), other.High, 1e-9);
    }

    /// <summary>2,000 samples of each size. The benchmark <c>coverage</c> does the same with effects of the demo model.</summary>
    [Theory]
    [InlineData(5)]
    [InlineData(20)]
    [InlineData(100)]
    public void About_95_of_100_intervals_hold_the_mean_of_a_normal_distribution(int pairs)
    {
        var random = new Random(pairs);
        Assert.InRange(Coverage(pairs, mean: 0, Draw), 0.93, 0.97);

        // Box and Muller 1958.
        double Draw() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
    }

    /// <summary>Student's own interval holds it in 88 of 100 samples of 5, 90 of 10 and 92 of 20.</summary>
    [Theory]
    [InlineData(5)]
    [InlineData(10)]
    [InlineData(20)]
    public void More_than_91_of_100_hold_the_mean_of_an_exponential_distribution(int pairs)
    {
        var random = new Random(pairs);
        Assert.InRange(Coverage(pairs, mean: 1, () => -Math.Log(1 - random.NextDouble())), 0.91, 0.97);
    }

    private static double Coverage(int pairs, double mean, Func<double> draw) =>
        Enumerable.Range(0, 2000).Count(_ => Of([.. Enumerable.Range(0, pairs).Select(_ => draw())])!.Value.Contains(mean)) / 2000.0;

    private static ConfidenceInterval? Of(double[] sample)
    {
        double mean = sample.Average();
        return ConfidenceInterval.Of(mean, [.. sample.Select(value => value - mean)]);
    }
}
