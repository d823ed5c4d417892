using System.Diagnostics.CodeAnalysis;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Tests.Results;

/// <summary>Two sweeps held against each other, of models of one layer whose runs have known metrics.</summary>
public class SweepComparerTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Aggregation.WellConditionedMean)]
    [InlineData(Aggregation.MeanOfRatios)]
    [InlineData(Aggregation.RatioOfMeans)]
    public async Task A_sweep_with_itself_has_not_moved(Aggregation aggregation)
    {
        SweepResult sweep = Noisy(seed: 1, pairs: 12, heads: 6, aggregation: aggregation);
        SweepComparison comparison = await CompareAsync(sweep, sweep);
        Assert.All(comparison.Heads, head => Assert.Equal((0, new ConfidenceInterval(0, 0), new ConfidenceInterval(0, 0), false), (head.Difference, head.ConfidenceInterval, head.JointInterval, head.Moved)));
        Assert.Empty(comparison.Moved);
        Assert.Equal(1, comparison.RankCorrelation!.Value, 1e-12);
        Assert.Equal((MatchedBy.Tokens, 12), (comparison.MatchedBy, comparison.CommonPairs));
        Assert.Contains("No head moved (of 12 common pairs", comparison.Summary, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Aggregation.WellConditionedMean)]
    [InlineData(Aggregation.MeanOfRatios)]
    [InlineData(Aggregation.RatioOfMeans)]
    public async Task Where_all_pairs_are_common_the_effects_are_the_sweeps_own(Aggregation aggregation)
    {
        // One pair is degenerate, and one ill-conditioned: left out or not as the sweeps have them.
        SweepResult a = Assemble([.. Random(seed: 1, pairs: 9, heads: 4), new Run(8, 8, [8, 9, 8, 7]), new Run(8, 7.98, [7.99, 8, 8, 7])], aggregation);
        SweepResult b = Assemble([.. Random(seed: 2, pairs: 9, heads: 4), new Run(8, 8, [8, 8, 8, 8]), new Run(8, 7.98, [7.97, 8, 8, 7])], aggregation);
        SweepComparison comparison = await CompareAsync(a, b);
        Assert.Equal(aggregation switch { Aggregation.RatioOfMeans => 11, Aggregation.MeanOfRatios => 10, _ => 9 }, comparison.CommonPairs);
        foreach (var (head, (of, with)) in comparison.Heads.Zip(a.Heads.Zip(b.Heads)))
        {
            Assert.Equal(of.PatchingEffect, head.EffectA!.Value, 1e-12);
            Assert.Equal(with.PatchingEffect, head.EffectB!.Value, 1e-12);
            Assert.Equal(with.PatchingEffect - of.PatchingEffect, head.Difference!.Value, 1e-12);
        }
    }

    /// <summary>Of a mean of ratios the differences of the pairs' effects are a sample like any other.</summary>
    [Fact]
    public async Task The_interval_of_a_head_by_itself_is_that_of_the_pairs_own_differences()
    {
        SweepResult a = Noisy(seed: 1, pairs: 12, heads: 3), b = Noisy(seed: 2, pairs: 12, heads: 3);
        SweepComparison comparison = await CompareAsync(a, b);
        double[] differences = [.. a.Pairs.Zip(b.Pairs).Select(pair => pair.Second.PatchingEffect![0][1] - pair.First.PatchingEffect![0][1])];
        double mean = differences.Average();
        ConfidenceInterval expected = ConfidenceInterval.Of(mean, [.. differences.Select(difference => difference - mean)])!.Value;
        ConfidenceInterval interval = comparison.Heads[1].ConfidenceInterval!.Value, joint = comparison.Heads[1].JointInterval!.Value;
        Assert.Equal((expected.Low, expected.High), (interval.Low, interval.High), new Within(1e-12));
        Assert.True(joint.Low < interval.Low && interval.High < joint.High);
        Assert.Equal(comparison.Heads, (await CompareAsync(a, b)).Heads);
        Assert.Equal(0.05 / 3, comparison.JointMiss!.Value, 1e-12); // of so few pairs Bonferroni's
        Assert.Equal(comparison.Heads.Select(head => -head.Difference), (await CompareAsync(b, a)).Heads.Select(head => head.Difference));
    }

    [Fact]
    public async Task Heads_that_move_together_are_counted_as_fewer_and_the_same_seed_gives_the_same()
    {
        SweepResult a = Noisy(seed: 1, pairs: 50, heads: 40, together: true), b = Noisy(seed: 2, pairs: 50, heads: 40, together: true);
        SweepComparison comparison = await CompareAsync(a, b);
        Assert.InRange(comparison.JointMiss!.Value, 1.05 * 0.05 / 40, 4 * 0.05 / 40);
        Assert.Equal(comparison.Heads, (await CompareAsync(a, b)).Heads);
        Assert.NotEqual(comparison.JointMiss, (await SweepComparer.CompareAsync(ComparedSweep.Of(a), ComparedSweep.Of(b), seed: 1, cancellationToken: Cancel)).JointMiss);
    }

    [Fact]
    public async Task Pairs_are_matched_by_their_tokens_wherever_they_stand()
    {
        Run[] runs = Random(seed: 3, pairs: 8, heads: 2);
        SweepResult all = Assemble(runs), turned = Assemble([.. runs.Reverse().Take(6)], tokens: index => 7 - index);
        SweepComparison comparison = await CompareAsync(all, turned);
        Assert.Equal((MatchedBy.Tokens, 6), (comparison.MatchedBy, comparison.CommonPairs));
        Assert.All(comparison.Heads, head => Assert.Equal(0, head.Difference!.Value, 1e-12));
        Assert.Contains("The effects are over the 6 pairs that both sweeps take, of 8 and 6.", comparison.Notes);
    }

    [Fact]
    public async Task Pairs_of_models_that_cut_texts_differently_are_matched_by_their_texts()
    {
        Run[] runs = Random(seed: 3, pairs: 6, heads: 2);
        SweepResult one = Assemble(runs, text: token => token == 0 ? "<|endoftext|>" : $" word{token}");
        SweepResult other = Assemble(runs, tokens: index => 5 - index, text: token => token == 0 ? "<s>" : $" word{(token is >= 100 and < 106 ? 205 - token : token)}");
        SweepComparison comparison = await CompareAsync(one, other);
        Assert.Equal((MatchedBy.Texts, 6), (comparison.MatchedBy, comparison.CommonPairs));
        Assert.All(comparison.Heads, head => Assert.Equal(0, head.Difference!.Value, 1e-12));
        Assert.Contains(comparison.Notes, note => note.StartsWith("The pairs were matched by their texts", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_common_pairs_the_intervals_are_of_two_samples_and_wider()
    {
        SweepResult a = Noisy(seed: 1, pairs: 10, heads: 4), same = Noisy(seed: 1, pairs: 10, heads: 4), others = Noisy(seed: 1, pairs: 10, heads: 4, tokens: index => 50 + index);
        SweepComparison comparison = await CompareAsync(a, others);
        Assert.Equal((MatchedBy.None, 0), (comparison.MatchedBy, comparison.CommonPairs));
        Assert.Contains(comparison.Notes, note => note.StartsWith("The sweeps have no pairs in common", StringComparison.Ordinal));
        Assert.All(comparison.Heads, head => Assert.True(head.JointInterval!.Value.High > 0.01 && head.JointInterval.Value.Contains(0)));
        // Of two samples of one spread it is that of either by the root of two.
        Assert.Equal(Math.Sqrt(2) * a.Heads[0].StandardError!.Value, comparison.Heads[0].StandardError!.Value, 1e-12);
        Assert.Equal(0, (await CompareAsync(a, same)).Heads[0].StandardError);
    }

    [Fact]
    public async Task Over_fewer_than_five_pairs_there_are_differences_and_no_intervals()
    {
        SweepComparison comparison = await CompareAsync(Noisy(seed: 1, pairs: 4, heads: 2), Noisy(seed: 2, pairs: 4, heads: 2));
        Assert.Equal(4, comparison.CommonPairs);
        Assert.All(comparison.Heads, head => Assert.True(head.Difference is not null && head.ConfidenceInterval is null && head.JointInterval is null && !head.Moved));
        Assert.Null(comparison.Intervals);
        Assert.Contains("There are no intervals over fewer than 5 pairs, so that nothing can be said to have moved.", comparison.Notes);
    }

    [Fact]
    public async Task A_head_that_moved_is_named_and_others_are_not()
    {
        Run[] runs = Random(seed: 5, pairs: 20, heads: 12, spread: 0.02);
        SweepResult a = Assemble(runs), b = Assemble([.. runs.Select((run, index) => run with { Patched = [.. run.Patched.Select((metric, head) => metric + (head == 7 ? -8 + (index % 3) : 0.01 * (index % 2)))] })]);
        SweepComparison comparison = await CompareAsync(a, b);
        Assert.Equal("L0H7", comparison.Moved[0].Name);
        Assert.Equal(-0.35, comparison.Moved[0].Difference!.Value, 0.02);
        Assert.Equal(["L0H7"], comparison.MovedBeyond(0.1).Select(head => head.Name));
        Assert.Empty(comparison.MovedBeyond(0.4));
        Assert.Contains("L0H7 -0.3", comparison.Summary, StringComparison.Ordinal);
    }

    /// <summary>
    /// 400 comparisons of two sweeps of 24 heads that differ by chance alone, half of the heads moving together: in about 5 of 100 some head is said to
    /// have moved. By their own intervals it would be in most.
    /// </summary>
    [Theory]
    [InlineData(5, 0.0, 0.09)]
    [InlineData(20, 0.02, 0.09)]
    [InlineData(100, 0.025, 0.08)]
    public async Task All_joint_intervals_together_hold_the_true_differences_in_about_95_of_100_comparisons(int pairs, double least, double most)
    {
        int missed = 0, byOwn = 0;
        const int Comparisons = 400;
        for (int seed = 0; seed < Comparisons; seed++)
        {
            SweepComparison comparison = await SweepComparer.CompareAsync(
                ComparedSweep.Of(Noisy(2 * seed, pairs, heads: 24, together: true)), ComparedSweep.Of(Noisy((2 * seed) + 1, pairs, heads: 24, together: true)), draws: 500, seed: seed, Cancel);
            missed += comparison.Heads.Any(head => !head.JointInterval!.Value.Contains(0)) ? 1 : 0;
            byOwn += comparison.Heads.Any(head => !head.ConfidenceInterval!.Value.Contains(0)) ? 1 : 0;
        }

        TestContext.Current.SendDiagnosticMessage($"{pairs} pairs: {missed} of {Comparisons} by joint intervals, {byOwn} by their own");
        Assert.InRange(missed / (double)Comparisons, least, most);
        Assert.True(byOwn > 3 * missed);
    }

    [Fact]
    public async Task Sweeps_of_other_shapes_are_refused_with_both_shapes()
    {
        InvalidInputException refused = await Assert.ThrowsAsync<InvalidInputException>(() => CompareAsync(Noisy(1, 5, heads: 2), Noisy(1, 5, heads: 3)));
        Assert.Contains("z in 1 layers of 2 heads", refused.Message, StringComparison.Ordinal);
        Assert.Contains("z in 1 layers of 3 heads", refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<InvalidInputException>(() => CompareAsync(Noisy(1, 5, heads: 1), Assemble(Random(1, 5, 1), patch: Patch.AttnOut)));
    }

    [Fact]
    public async Task What_differs_is_marked_and_another_metric_noted()
    {
        SweepResult a = Noisy(1, 6, heads: 2), b = Noisy(1, 6, heads: 2) with { Metric = "probability", Direction = Direction.Noise };
        SweepComparison comparison = await CompareAsync(a, b);
        Assert.Equal(["direction", "metric"], comparison.Facts.Where(fact => fact.Differs).Select(fact => fact.Name));
        Assert.Equal(("denoise logit-difference", "noise probability"), (comparison.A.Label, comparison.B.Label));
        Assert.Contains(comparison.Notes, note => note.StartsWith("The metrics differ (logit-difference and probability)", StringComparison.Ordinal));
    }

    [Fact]
    public async Task By_position_every_place_that_both_have_is_compared()
    {
        SweepResult a = Assemble(Random(1, 6, 2), positions: Positions.Each), b = Assemble(Random(2, 6, 2), positions: Positions.Each);
        SweepComparison comparison = await CompareAsync(a, b);
        Assert.Equal(3 * 2, comparison.Heads.Count);
        Assert.Equal(["L0H0 at -3", "L0H1 at -3", "L0H0 at -2", "L0H1 at -2", "L0H0 at -1", "L0H1 at -1"], comparison.Heads.Select(head => head.Label));
        Assert.Equal(b.HeatmapByPosition![0][2][1] - a.HeatmapByPosition![0][2][1], comparison.Heads[5].Difference!.Value, 1e-12);
        Assert.All(comparison.Heads, head => Assert.NotNull(head.JointInterval));

        // Against a sweep of all positions at once there is but the strongest.
        SweepComparison strongest = await CompareAsync(a, Noisy(1, 6, heads: 2));
        Assert.Equal(a.Heads.Select(head => (double?)head.PatchingEffect), strongest.Heads.Select(head => head.EffectA));
        Assert.All(strongest.Heads, head => Assert.Null(head.JointInterval));
    }

    [Fact]
    public async Task Of_many_pairs_groups_stand_for_pairs_and_the_intervals_are_about_the_same()
    {
        var (a, b) = (Noisy(1, 3000, heads: 3), Noisy(2, 3000, heads: 3));
        ComparedSweep Many(SweepResult result) => new(result with { Dataset = new DatasetSummary("ioi-generated", 3000) }, new Pairs(Random(result == a ? 1 : 2, 3000, 3)));
        SweepComparison comparison = await SweepComparer.CompareAsync(Many(a), Many(b), cancellationToken: Cancel);
        Assert.Equal((MatchedBy.Index, 3000), (comparison.MatchedBy, comparison.CommonPairs));
        foreach (var (head, (of, with)) in comparison.Heads.Zip(a.Heads.Zip(b.Heads)))
        {
            Assert.Equal(with.PatchingEffect - of.PatchingEffect, head.Difference!.Value, 1e-9);
            double independent = Math.Sqrt((of.StandardError!.Value * of.StandardError.Value) + (with.StandardError!.Value * with.StandardError.Value));
            Assert.Equal(1, head.StandardError!.Value / independent, 0.1);
        }

        // Another seed is another dataset.
        SweepComparison others = await SweepComparer.CompareAsync(Many(a), Many(b) with { Result = Many(b).Result with { Seed = 5 } }, cancellationToken: Cancel);
        Assert.Equal(MatchedBy.None, others.MatchedBy);
        Assert.NotNull(others.JointMiss);
    }

    private static Task<SweepComparison> CompareAsync(SweepResult a, SweepResult b) => SweepComparer.CompareAsync(ComparedSweep.Of(a), ComparedSweep.Of(b), cancellationToken: Cancel);

    private static SweepResult Noisy(int seed, int pairs, int heads, bool together = false, Aggregation aggregation = Aggregation.WellConditionedMean, Func<int, int>? tokens = null) =>
        Assemble(Random(seed, pairs, heads, together: together), aggregation, tokens: tokens);

    /// <summary>Heads with an effect of 0.5 and pairs of some spread; together, the even ones have half of theirs in common.</summary>
    private static Run[] Random(int seed, int pairs, int heads, double spread = 0.2, bool together = false)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable.Range(0, pairs).Select(_ =>
            {
                double common = Normal();
                return new Run(10, -10, [.. Enumerable.Range(0, heads).Select(head => 20 * spread * (together && head % 2 == 0 ? (0.3 * Normal()) + common : Normal()))]);
            }),
        ];

        // Box and Muller 1958.
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
    }

    private static SweepResult Assemble(
        Run[] runs, Aggregation aggregation = Aggregation.WellConditionedMean, Patch patch = Patch.Z, Positions positions = default, Func<int, int>? tokens = null, Func<int, string>? text = null)
    {
        int heads = runs[0].Patched.Length;
        TokenPair[] pairs = [.. runs.Select((_, index) => new TokenPair(index, [0, 100 + (tokens?.Invoke(index) ?? index), 2], [0, 100 + (tokens?.Invoke(index) ?? index), 3], 4, 5))];
        double[][] Rows(Run run) => positions.IsEach ? [.. Enumerable.Range(0, 3).Select(position => run.Patched.Select(metric => metric * (position + 1) / 3).ToArray())] : [run.Patched];
        return SweepAssembler.Assemble(
            new SweepDescription
            {
                SweepId = "test",
                Model = new ModelSummary("model", new string('0', 64), 1, heads, "float64", "cpu"),
                Dataset = "pairs",
                Options = new PatchOptions { Patch = patch, Positions = positions },
                Aggregation = aggregation,
                Metric = new LogitDifference(),
                StartedAt = default,
                FinishedAt = default,
                SoftwareVersion = "test",
            },
            pairs,
            new SweepRuns(
                runs.Index().ToDictionary(run => run.Index, run => new Baseline(run.Item.Clean, run.Item.Corrupted)),
                [new LayerPatches(0, [.. Enumerable.Range(0, runs.Length)], [.. runs.Select(Rows)], PatchedRuns: 0, Seconds: 0)],
                CacheSeconds: 0),
            text);
    }

    private sealed record Run(double Clean, double Corrupted, double[] Patched);

    private sealed class Within(double tolerance) : IEqualityComparer<(double, double)>
    {
        public bool Equals((double, double) x, (double, double) y) => Math.Abs(x.Item1 - y.Item1) <= tolerance && Math.Abs(x.Item2 - y.Item2) <= tolerance;

        public int GetHashCode([DisallowNull] (double, double) of) => 0;
    }

    private sealed class Pairs(Run[] runs) : IPairSource
    {
        public IAsyncEnumerable<int> IndicesAsync(CancellationToken cancellationToken = default) => Enumerable.Range(0, runs.Length).ToAsyncEnumerable();

        public IAsyncEnumerable<PairNumbers> ReadAsync(IReadOnlyList<ComparedPlace> places, CancellationToken cancellationToken = default) =>
            runs.Select((run, index) => new PairNumbers(index, new Baseline(run.Clean, run.Corrupted), [run.Patched])).ToAsyncEnumerable();
    }
}
