using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Tests.Results;

/// <summary>How the effects of a head on pairs become one number, from runs with known metrics: a model of one layer and two heads.</summary>
public class EffectOverPairsTests
{
    /// <summary>Head 0 restores two thirds of what there is, give or take; head 1 nothing. Pair 5 is 0.02 apart where the others are 20.</summary>
    private static readonly Run[] OneIllConditioned =
    [
        new(10, -10, [3, -10]), new(10, -10, [4, -10.1]), new(9, -11, [2, -11]), new(10, -10, [3.5, -9.9]), new(11, -9, [4, -9]),
        new(8, 7.98, [7.99, 7.9]),
    ];

    [Fact]
    public void A_pair_that_is_close_beside_the_others_is_left_out_named_and_counted()
    {
        SweepResult result = Assemble(OneIllConditioned);
        Assert.Equal([new ExcludedPair(5, Exclusion.IllConditioned)], result.ExcludedPairs!);
        Assert.Equal(["L0H0", "L0H1"], result.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Select(head => head.Name));
        Assert.Equal((13 + 14 + 13 + 13.5 + 13) / 20 / 5, result.Heads[0].PatchingEffect, 1e-12);
        Assert.All(result.Heads, head => Assert.Equal(5, head.Pairs));
        Assert.Equal(Assemble(OneIllConditioned[..5]).Heads[0].ConfidenceInterval, result.Heads[0].ConfidenceInterval);
        Assert.Contains("Pair 5: clean and corrupted are 0.02 apart, the median pair's 20: left out of the mean.", result.Warnings);

        // Its own effects stand, and the metrics' means are of all pairs.
        Assert.Equal(-4, result.Pairs[5].PatchingEffect![0][1], 1e-9);
        Assert.Equal(58.0 / 6, result.Heads[0].CleanMetric, 1e-12);
    }

    [Fact]
    public void The_original_s_mean_takes_it_and_warns_of_it()
    {
        SweepResult result = Assemble(OneIllConditioned, Aggregation.MeanOfRatios);
        Assert.Empty(result.ExcludedPairs!);
        Assert.Equal((0.65 + 0.7 + 0.65 + 0.675 + 0.65 + 0.5) / 6, result.Heads[0].PatchingEffect, 1e-9);
        Assert.Equal(-4.0 / 6, result.Heads[1].PatchingEffect, 1e-9);
        Assert.Contains(
            "Pair 5: clean and corrupted are 0.02 apart, the median pair's 20: it may rule the mean (the aggregation well-conditioned-mean leaves it out).",
            result.Warnings);
    }

    [Fact]
    public void Where_every_pair_is_well_conditioned_the_mean_is_the_original_s_to_the_last_digit()
    {
        Run[] runs = [.. OneIllConditioned[..5], new(1.05, -1, [0.9, -1])]; // 2.05 of 20 apart
        SweepResult ours = Assemble(runs), originals = Assemble(runs, Aggregation.MeanOfRatios);
        Assert.Empty(ours.ExcludedPairs!);
        Assert.Equivalent(originals.Heads, ours.Heads, strict: true);
    }

    [Theory]
    [InlineData(Aggregation.WellConditionedMean)]
    [InlineData(Aggregation.MeanOfRatios)]
    public void Degenerate_pairs_are_left_out_of_every_mean_of_ratios_instead_of_counting_as_0(Aggregation aggregation)
    {
        Run[] degenerate = [.. Enumerable.Repeat(new Run(8, 8, [8, 8]), 5)];
        SweepResult alone = Assemble(OneIllConditioned[..5], aggregation), together = Assemble([.. OneIllConditioned[..5], .. degenerate], aggregation);
        Assert.Equal(alone.Heads.Select(Numbers), together.Heads.Select(Numbers));
        Assert.Equal(Enumerable.Range(5, 5).Select(pair => new ExcludedPair(pair, Exclusion.Degenerate)), together.ExcludedPairs!);
        Assert.Contains(
            "5 of 10 pairs are degenerate (clean and corrupted metric are the same), left out of the mean: 5, 6, 7, 8, 9.", together.Warnings);

        static object Numbers(HeadResult head) => (head.PatchingEffect, head.StandardError, head.ConfidenceInterval, head.Pairs);
    }

    [Fact]
    public void A_ratio_of_means_takes_the_metrics_of_every_pair_as_they_are()
    {
        Run[] runs = [new(2, 0, [1, 0]), new(4, 0, [4, 0]), new(1, 1, [1.5, 1])];
        SweepResult result = Assemble(runs, Aggregation.RatioOfMeans);
        Assert.Empty(result.ExcludedPairs!);
        Assert.Equal((1 + 4 + 0.5) / 6, result.Heads[0].PatchingEffect, 1e-12);
        Assert.Equal(3, result.Heads[0].Pairs);
        Assert.Contains(
            "1 of 3 pairs are degenerate (clean and corrupted metric are the same), their metrics count in the means as they are: 2.", result.Warnings);
        Assert.Equal((0.5 + 1) / 2, Assemble(runs, Aggregation.MeanOfRatios).Heads[0].PatchingEffect, 1e-12);
    }

    /// <summary>A multiple of the denominator has that ratio whatever pairs are drawn: no interval, however far the pairs are apart.</summary>
    [Fact]
    public void The_interval_of_a_ratio_of_means_is_that_of_the_ratio()
    {
        double[] differences = [1, 3, 5, 100, 0.5, 12];
        SweepResult result = Assemble([.. differences.Select(d => new Run(d, 0, [0.25 * d, d > 4 ? d : 0]))], Aggregation.RatioOfMeans);
        Assert.Equal((0.25, 0.25), (result.Heads[0].ConfidenceInterval!.Value.Low, result.Heads[0].ConfidenceInterval!.Value.High));

        HeadResult other = result.Heads[1];
        double[] deviations = [.. differences.Select(d => ((d > 4 ? d : 0) - (117 / 121.5 * d)) / (121.5 / 6))];
        Assert.Equal(ConfidenceInterval.Of(117 / 121.5, deviations)!.Value.Low, other.ConfidenceInterval!.Value.Low, 1e-12);
        Assert.Equal(Math.Sqrt(deviations.Sum(d => d * d) / 5 / 6), other.StandardError!.Value, 1e-12);
    }

    [Fact]
    public void Of_a_screen_the_heads_that_were_run_have_their_effects_and_the_others_their_estimates()
    {
        Run[] exact = [.. Enumerable.Repeat(new Run(10, 0, [4, 0]), 5)], estimates = [.. exact.Select(run => run with { Patched = [3, 1] })];
        SweepRuns runs = RunsOf(exact) with { Estimates = RunsOf(estimates).Layers, HeadsRun = new Dictionary<int, int[]> { [0] = [0] } };
        SweepResult result = SweepAssembler.Assemble(Description(Aggregation.MeanOfRatios) with { Method = Method.Screen }, PairsOf(exact), runs, tokenText: null);
        Assert.Equal([(0.4, 0.3, false), (0.1, 0.1, true)], result.Heads.Select(head => (head.PatchingEffect, head.EstimatedEffect!.Value, head.Estimated)));
    }

    [Fact]
    public void A_layer_that_is_missing_from_the_runs_is_refused() => Assert.Throws<ArgumentException>(() => SweepAssembler.Assemble(
        Description(Aggregation.MeanOfRatios) with { Model = new ModelSummary("none", "", Layers: 2, Heads: 2, "float64", "cpu") },
        PairsOf(OneIllConditioned),
        RunsOf(OneIllConditioned),
        tokenText: null));

    /// <summary>Pairs are taken in one by one; what comes out is what the textbook's two passes over all of them give.</summary>
    [Theory]
    [InlineData(Aggregation.MeanOfRatios)]
    [InlineData(Aggregation.RatioOfMeans)]
    public void One_pass_over_many_pairs_gives_what_two_would(Aggregation aggregation)
    {
        var random = new Random(1);
        Run[] runs = [.. Enumerable.Range(0, 3000).Select(_ => new Run(1000 + (random.NextDouble() * random.NextDouble()), 996 - random.NextDouble(), [998 + random.NextDouble(), 996]))];
        HeadResult head = Assemble(runs, aggregation).Heads[0];
        (double X, double Y)[] parts =
        [
            .. runs.Select(run => (X: run.Patched[0] - run.Corrupted, Y: run.Clean - run.Corrupted)).Select(part => aggregation == Aggregation.RatioOfMeans ? part : (part.X / part.Y, 1)),
        ];
        double meanY = parts.Average(part => part.Y), effect = parts.Average(part => part.X) / meanY;
        double[] deviations = [.. parts.Select(part => (part.X - (effect * part.Y)) / meanY)];
        ConfidenceInterval interval = ConfidenceInterval.Of(effect, deviations)!.Value;
        Assert.Equal(effect, head.PatchingEffect, 1e-12);
        Assert.Equal(Math.Sqrt(deviations.Sum(d => d * d) / 2999 / 3000), head.StandardError!.Value, 1e-13);
        Assert.Equal(interval.Low, head.ConfidenceInterval!.Value.Low, 1e-12);
        Assert.Equal(interval.High, head.ConfidenceInterval!.Value.High, 1e-12);
        Assert.Equal(runs.Average(run => run.Patched[0]), head.PatchedMetric, 1e-9);
    }

    [Fact]
    public void A_ratio_of_means_whose_denominator_may_as_well_be_0_is_warned_of()
    {
        Run[] runs = [new(9, 8, [8.5, 8]), new(8, 9.5, [8, 8]), new(9, 8.5, [9, 8]), new(8, 9, [8.5, 8]), new(9.5, 8, [8, 8])];
        Assert.Contains(Assemble(runs, Aggregation.RatioOfMeans).Warnings, warning => warning.StartsWith("The ratio of means divides by 0.1, whose own 95 % interval", StringComparison.Ordinal));
        Assert.DoesNotContain(Assemble(OneIllConditioned, Aggregation.RatioOfMeans).Warnings, warning => warning.StartsWith("The ratio", StringComparison.Ordinal));
    }

    [Fact]
    public void A_single_pair_that_stands_out_does_not_make_a_denominator_cancel()
    {
        double[] differences = [19.2, 20.0, 13.0, 13.8, 18.6, -0.118]; // the five of ioi and one of ioi-order on the demo model
        Assert.DoesNotContain(
            Assemble([.. differences.Select(d => new Run(d, 0, [d / 2, 0]))], Aggregation.RatioOfMeans).Warnings,
            warning => warning.StartsWith("The ratio", StringComparison.Ordinal));
    }

    [Fact]
    public void With_no_pair_left_effects_are_0_and_it_is_said_that_they_say_nothing()
    {
        SweepResult result = Assemble([new(8, 8, [9, 8]), new(7, 7, [7, 8])]);
        Assert.All(result.Heads, head => Assert.Equal((0, null, null, 0), (head.PatchingEffect, head.StandardError, head.ConfidenceInterval, head.Pairs)));
        Assert.Empty(result.ImportantHeads);
        Assert.Contains("No pair is left to take a mean of: every effect is given as 0 and says nothing.", result.Warnings);
    }

    [Fact]
    public void Warnings_name_the_first_ten_pairs_and_count_the_others()
    {
        Run[] runs = [.. Enumerable.Repeat(OneIllConditioned[0], 30), .. Enumerable.Repeat(OneIllConditioned[5], 14), .. Enumerable.Repeat(new Run(8, 8, [8, 8]), 12)];
        SweepResult result = Assemble(runs);
        Assert.Equal(10, result.Warnings.Count(warning => warning.StartsWith("Pair 3", StringComparison.Ordinal)));
        Assert.Contains("4 more pairs are as close: left out of the mean.", result.Warnings);
        Assert.Contains(result.Warnings, warning => warning.EndsWith(": 44, 45, 46, 47, 48, 49, 50, 51, 52, 53 and 2 more.", StringComparison.Ordinal));
        Assert.Equal(26, result.ExcludedPairs!.Count);
    }

    /// <summary>Where most pairs are close, the median is one of theirs and none is left out: then it is said of each.</summary>
    [Fact]
    public void Pairs_that_are_close_for_their_own_size_are_named_where_they_are_not_left_out()
    {
        SweepResult result = Assemble([OneIllConditioned[0], OneIllConditioned[1], OneIllConditioned[5], OneIllConditioned[5], OneIllConditioned[5]]);
        Assert.Empty(result.ExcludedPairs!);
        Assert.Contains("On 3 of 5 pairs the corruption changes logit-difference little for its size, and effects divide by little: 2, 3, 4.", result.Warnings);
    }

    [Fact]
    public void A_screen_chooses_by_the_same_pairs()
    {
        SweepRuns runs = RunsOf(OneIllConditioned);
        Assert.Equal([(0, 0)], Screen.Top(1, PairsOf(OneIllConditioned), runs, new PatchOptions(), Aggregation.WellConditionedMean));
        Assert.Equal([(0, 1)], Screen.Top(1, PairsOf(OneIllConditioned), runs, new PatchOptions(), Aggregation.MeanOfRatios));
    }

    [Fact]
    public void By_position_the_same_pairs_are_left_out()
    {
        Run[] shorter = [.. OneIllConditioned.Select((run, i) => run with { Length = i == 0 ? 2 : 3 })];
        var options = new PatchOptions { Positions = Positions.Each };
        SweepResult one = Assemble(OneIllConditioned, options: options), mixed = Assemble(shorter, options: options);
        Assert.Equal([2.0 / 3 - 0.00166666666666, 0], one.HeatmapByPosition![0][^1].Select(effect => Math.Round(effect, 12)), (left, right) => Math.Abs(left - right) < 1e-9);
        Assert.Equal((5, -1), (one.Heads[0].Pairs, one.Heads[0].Position));
        Assert.Equal(5, mixed.Heads[0].Pairs);
    }

    /// <summary>Head 0 is beyond the threshold on every pair, head 1 on two of six, one way and the other.</summary>
    [Fact]
    public void A_head_whose_interval_holds_0_is_not_important_however_large_its_effect()
    {
        Run[] runs =
        [
            new(1, 0, [0.5, 0.9]), new(1, 0, [0.6, 0]), new(1, 0, [0.5, 0]), new(1, 0, [0.6, -0.1]), new(1, 0, [0.5, 0.1]), new(1, 0, [0.55, 0]),
        ];
        SweepResult result = Assemble(runs);
        Assert.True(result.Heads[1].PatchingEffect > result.Threshold);
        Assert.True(result.Heads[1].ConfidenceInterval!.Value.Contains(0));
        Assert.Equal(["L0H0"], result.ImportantHeads.Select(head => head.Name));
        Assert.Contains("Beyond ±0.1, but with an interval that holds 0, and so not among the important: L0H1.", result.Warnings);

        // Without intervals there is the threshold alone, and that is said.
        SweepResult few = Assemble(runs[..3]);
        Assert.Equal(["L0H0", "L0H1"], few.ImportantHeads.Select(head => head.Name));
        Assert.Contains("No effect has an interval, which takes 5 pairs: whether such a one is important goes by the threshold alone.", few.Warnings);
    }

    private static TokenPair[] PairsOf(Run[] runs) => [.. runs.Select((run, i) => new TokenPair(i, new int[run.Length], new int[run.Length], 1, 2))];

    private static SweepResult Assemble(Run[] runs, Aggregation aggregation = Aggregation.WellConditionedMean, PatchOptions? options = null) =>
        SweepAssembler.Assemble(Description(aggregation, options), PairsOf(runs), RunsOf(runs, options?.Positions.IsEach ?? false), tokenText: null);

    private static SweepDescription Description(Aggregation aggregation, PatchOptions? options = null) => new()
    {
        SweepId = "test",
        Model = new ModelSummary("none", "", Layers: 1, Heads: 2, "float64", "cpu"),
        Dataset = "runs",
        Options = options ?? new PatchOptions(),
        Metric = new LogitDifference(),
        Aggregation = aggregation,
        StartedAt = default,
        FinishedAt = default,
        SoftwareVersion = "",
    };

    private static SweepRuns RunsOf(Run[] runs, bool eachPosition = false) => new(
        runs.Index().ToDictionary(run => run.Index, run => new Baseline(run.Item.Clean, run.Item.Corrupted)),
        [
            new LayerPatches(
                0,
                [.. Enumerable.Range(0, runs.Length)],
                [.. runs.Select(run => eachPosition ? [.. Enumerable.Repeat((double[])[run.Corrupted, run.Corrupted], run.Length - 1), run.Patched] : (double[][])[run.Patched])],
                PatchedRuns: 0,
                Seconds: 0),
        ],
        CacheSeconds: 0);

    /// <summary>A pair: its unpatched metrics, and that of each head's patched run. By position, only the last one changes anything.</summary>
    private sealed record Run(double Clean, double Corrupted, double[] Patched)
    {
        public int Length { get; init; } = 3;
    }
}
