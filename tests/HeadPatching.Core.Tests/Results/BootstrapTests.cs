using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Core.Tests.Patching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Results;

/// <summary>The confidence intervals of heads.</summary>
public class BootstrapTests
{
    [Fact]
    public void Fewer_than_two_pairs_have_no_interval()
    {
        Assert.Equal([null, null], Bootstrap.Intervals(seed: 0, [[0.5, 0.25]], [1]));
    }

    /// <summary>Of two pairs, 0 and 1, a draw is 0 in a quarter of the cases and 1 in another: the middle 95 % reach from one to the other.</summary>
    [Fact]
    public void Two_pairs_have_an_interval_from_one_to_the_other()
    {
        Assert.Equal([new ConfidenceInterval(0, 1)], Bootstrap.Intervals(seed: 0, [[0], [1]], [1, 1]));
    }

    /// <summary>
    /// Of ten pairs, nine 0 and one 1, the mean of a draw is a tenth of how often the 1 was drawn: binomial of 10 and 0.1, whose 97.5 %
    /// quantile is 3 (0.987 of the draws have at most 3, 0.930 at most 2).
    /// </summary>
    [Fact]
    public void A_rare_pair_gives_the_quantiles_of_the_binomial_distribution()
    {
        double[][] values = [.. Enumerable.Range(0, 10).Select(pair => new[] { pair == 0 ? 1.0 : 0 })];
        Assert.Equal([new ConfidenceInterval(0, 0.3)], Bootstrap.Intervals(seed: 5, values, Ones(10)));
    }

    [Fact]
    public void The_same_seed_gives_the_same_interval_and_another_seed_another()
    {
        double[][] sample = Normal(seed: 1, pairs: 30, heads: 5);
        Assert.Equal(Bootstrap.Intervals(3, sample, Ones(30)), Bootstrap.Intervals(3, sample, Ones(30)));
        Assert.NotEqual(Bootstrap.Intervals(3, sample, Ones(30)), Bootstrap.Intervals(4, sample, Ones(30)));

        // As it is on every machine.
        ConfidenceInterval interval = Bootstrap.Intervals(0, [[1], [2], [4], [8], [16], [32]], Ones(6))[0]!.Value;
        Assert.Equal(17.0 / 6, interval.Low, 1e-12);
        Assert.Equal(58.0 / 3, interval.High, 1e-12);
    }

    [Fact]
    public void Every_head_gets_the_same_draws_whatever_stands_beside_it()
    {
        double[][] sample = Normal(seed: 2, pairs: 12, heads: 7);
        ConfidenceInterval?[] together = Bootstrap.Intervals(0, sample, Ones(12));
        for (int head = 0; head < 7; head++)
        {
            Assert.Equal([together[head]], Bootstrap.Intervals(0, [.. sample.Select(pair => new[] { pair[head] })], Ones(12)));
        }
    }

    [Fact]
    public void The_interval_of_a_symmetric_sample_holds_its_mean_and_is_as_wide_as_its_standard_error_says()
    {
        double[] half = [.. Normal(seed: 3, pairs: 50, heads: 1).Select(pair => pair[0])];
        double[][] sample = [.. half.Concat(half.Select(value => -value)).Select(value => new[] { 7 + value })];
        ConfidenceInterval interval = Bootstrap.Intervals(0, sample, Ones(100))[0]!.Value;
        double error = Effect.Over(Aggregation.MeanOfRatios, [.. sample.Select(pair => pair[0])], new double[100], Ones(100)).StandardError!.Value;

        // Plus and minus 1.96 standard errors, as for a normal mean; the ends of 2,000 draws are themselves uncertain by some per cent.
        Assert.Equal(7 - (1.96 * error), interval.Low, 0.15 * error);
        Assert.Equal(7 + (1.96 * error), interval.High, 0.15 * error);
    }

    /// <summary>Where every numerator is the same multiple of its denominator, so is every draw: no draw may take them from different pairs.</summary>
    [Fact]
    public void A_ratio_of_means_is_formed_again_of_each_draw()
    {
        double[] denominators = [1, -3, 5, 100, 0.1, 12];
        ConfidenceInterval constant = Bootstrap.Intervals(0, [.. denominators.Select(value => new[] { 0.25 * value })], denominators)[0]!.Value;
        Assert.Equal(0.25, constant.Low, 1e-12);
        Assert.Equal(0.25, constant.High, 1e-12);

        // And where it is not: of two pairs, (1 of 2) and (0 of 8), a draw has 1/2, 1/10 or 0.
        Assert.Equal([new ConfidenceInterval(0, 0.5)], Bootstrap.Intervals(0, [[1], [0]], [2, 8]));
    }

    /// <summary>300 samples of 40 from a normal distribution: about 95 of 100 intervals hold its mean.</summary>
    [Fact]
    public void About_95_of_100_intervals_hold_the_true_mean()
    {
        double[][] samples = Normal(seed: 4, pairs: 40, heads: 300);
        int holding = Bootstrap.Intervals(0, samples, Ones(40)).Count(interval => interval!.Value.Low <= 0 && interval.Value.High >= 0);
        Assert.InRange(holding / 300.0, 0.91, 0.99);
    }

    [Theory]
    [InlineData("all", Aggregation.MeanOfRatios)]
    [InlineData("all", Aggregation.RatioOfMeans)]
    [InlineData("each", Aggregation.MeanOfRatios)]
    [InlineData("each", Aggregation.RatioOfMeans)]
    public void Each_head_of_a_sweep_has_the_interval_of_its_own_pairs(string positions, Aggregation aggregation)
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        Assert.True(Positions.TryParse(positions, out Positions where));
        SweepResult result = ParityTests.Sweep(golden.Model, golden.Pairs, new PatchOptions { Positions = where }, aggregation: aggregation, seed: 9);
        Assert.Equal((9, Bootstrap.Resamples), (result.Seed, result.BootstrapResamples));
        foreach (HeadResult head in result.Heads)
        {
            (double Numerator, double Denominator)[] parts =
            [
                .. result.Pairs.Where(pair => head.Position is null || pair.CleanTokens.Count >= -head.Position).Select(pair => Effect.Part(
                    aggregation,
                    pair.PatchedMetric?[head.Layer][head.Head!.Value] ?? pair.PatchedMetricByPosition![head.Layer][^-head.Position!.Value][head.Head!.Value],
                    pair.CorruptedMetric,
                    pair.CleanMetric)),
            ];
            Assert.Equal(
                Bootstrap.Intervals(9, [.. parts.Select(part => new[] { part.Numerator })], [.. parts.Select(part => part.Denominator)])[0],
                head.ConfidenceInterval);
        }
    }

    private static double[] Ones(int count) => [.. Enumerable.Repeat(1.0, count)];

    /// <summary>[pair][head], independent, mean 0, variance 1 (Box and Muller 1958).</summary>
    private static double[][] Normal(int seed, int pairs, int heads)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable.Range(0, pairs).Select(_ => Enumerable.Range(0, heads)
                .Select(_ => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))
                .ToArray()),
        ];
    }
}
