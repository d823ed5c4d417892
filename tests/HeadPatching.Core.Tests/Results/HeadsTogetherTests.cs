using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Tests.Results;

/// <summary>What a result says of all heads together: intervals that hold at once, and how firm the ranking is.</summary>
public class HeadsTogetherTests
{
    private const int Heads = 24;

    /// <summary>
    /// 400 sweeps of 24 heads without an effect, half of them moving together: in about 5 of 100 some head is said to have one, by the heads' own intervals in most.
    /// </summary>
    [Theory]
    [InlineData(5, 0.0, 0.09)]
    [InlineData(20, 0.02, 0.09)]
    [InlineData(100, 0.025, 0.08)]
    public void Of_many_heads_without_an_effect_some_head_is_said_to_have_one_in_about_5_of_100_sweeps(int pairs, double least, double most)
    {
        const int Sweeps = 400;
        int together = 0, byOwn = 0;
        for (int seed = 0; seed < Sweeps; seed++)
        {
            SweepResult result = Assemble(Random(seed, pairs, _ => 0));
            together += result.Heads.Any(head => head.ExcludesZero!.Value) ? 1 : 0;
            byOwn += result.Heads.Any(head => !head.ConfidenceInterval!.Value.Contains(0)) ? 1 : 0;
        }

        TestContext.Current.SendDiagnosticMessage($"{pairs} pairs: {together} of {Sweeps} together, {byOwn} by their own");
        Assert.InRange(together / (double)Sweeps, least, most);
        Assert.True(byOwn > 3 * together);
    }

    [Fact]
    public void Of_an_effect_it_says_whether_it_is_surely_there_and_surely_beyond_the_threshold()
    {
        SweepResult result = Assemble(Random(seed: 3, pairs: 50, head => head switch { 1 => 0.6, 2 => -0.13, 3 => 0.1, _ => 0 }, spread: 0.12));

        HeadResult[] heads = [.. result.Heads];
        Assert.Equal((true, true), (heads[1].ExcludesZero, heads[1].ExcludesThreshold));
        Assert.Equal((true, false), (heads[2].ExcludesZero, heads[2].ExcludesThreshold));
        Assert.Equal(false, heads[4].ExcludesZero);
        Assert.All(heads, head =>
        {
            Assert.True(head.JointInterval!.Value.Low <= head.ConfidenceInterval!.Value.Low && head.ConfidenceInterval.Value.High <= head.JointInterval.Value.High);
            Assert.Equal(!head.JointInterval.Value.Contains(0), head.ExcludesZero);
        });
        // Surely below: 24 heads of no effect and little spread.
        Assert.All(Assemble(Random(seed: 3, pairs: 50, _ => 0, spread: 0.02)).Heads, head => Assert.True(head.ExcludesThreshold));
        Assert.Equal(Heads, result.JointIntervals!.Cells);
        Assert.InRange(result.JointIntervals.Miss, 0.05 / Heads, 0.05);
    }

    [Fact]
    public void A_clear_ranking_stays_where_pairs_are_drawn_again_and_one_by_chance_does_not()
    {
        SweepResult result = Assemble(Random(seed: 1, pairs: 40, head => head switch { 7 => 1.2, 3 => 0.9, _ => 0 }, spread: 0.3));

        Assert.Equal([1, 5, 10, 20], result.JointIntervals!.Tops);
        Assert.Equal([1, 1, 1, 1], result.Heads[7].InTop!);
        Assert.Equal(1, result.Heads[3].InTop![1]);
        Assert.All(result.Heads.Where(head => head.Head is not (7 or 3)), head => Assert.InRange(head.InTop![1], 0, 0.95));
        // In every draw there are as many among the strongest as there is room for.
        foreach (var (index, top) in result.JointIntervals.Tops.Index())
        {
            Assert.Equal(top, result.Heads.Sum(head => head.InTop![index]), 1e-9);
        }

        Assert.Equal(result.Heads.Select(head => head.InTop), Assemble(Random(seed: 1, pairs: 40, head => head switch { 7 => 1.2, 3 => 0.9, _ => 0 }, spread: 0.3)).Heads.Select(head => head.InTop));
    }

    /// <summary>The level is of all places, since the strongest was picked from them: by position it is smaller than of the same heads at one place.</summary>
    [Fact]
    public void By_position_every_place_counts()
    {
        double[][] runs = Random(seed: 5, pairs: 60, _ => 0, heads: 3 * Heads);
        SweepResult each = Assemble(runs, Positions.Each);
        Assert.Equal(3 * Heads, each.JointIntervals!.Cells);
        Assert.True(each.JointIntervals.Miss < Assemble([.. runs.Select(pair => pair[..Heads])]).JointIntervals!.Miss);
        Assert.All(each.Heads, head => Assert.NotNull(head.JointInterval));
    }

    [Fact]
    public void Of_more_pairs_than_are_held_groups_give_about_the_same_level()
    {
        double[][] runs = Random(seed: 9, pairs: 5000, _ => 0);
        JointIntervals grouped = Assemble(runs).JointIntervals!;
        JointIntervals own = Assemble(runs[..1000]).JointIntervals!;
        Assert.Equal(1, grouped.Miss / own.Miss, 0.25);
    }

    [Fact]
    public void Over_few_pairs_and_where_none_is_left_nothing_is_said()
    {
        SweepResult four = Assemble(Random(seed: 1, pairs: 4, _ => 0.5));
        Assert.Null(four.JointIntervals);
        Assert.All(four.Heads, head => Assert.Equal((null, null, null, null), (head.JointInterval, head.ExcludesZero, head.ExcludesThreshold, head.InTop)));
        Assert.Contains("Bonferroni", Assemble(Random(seed: 1, pairs: 5, _ => 0.5)).JointIntervals!.Kind, StringComparison.Ordinal);
    }

    [Fact]
    public void An_effect_that_never_varies_is_sure_unless_it_may_be_rounding()
    {
        SweepResult result = Assemble([.. Enumerable.Range(0, 6).Select(pair => (double[])[10, 1e-5, 10.0 + pair])]);
        Assert.Equal([true, false], result.Heads.Take(2).Select(head => head.ExcludesZero!.Value));
        Assert.Equal(new ConfidenceInterval(0.5, 0.5), result.Heads[0].JointInterval);
        Assert.Equal(1, result.JointIntervals!.Cells);
    }

    // Metrics by pair and head; of an effect 0 the corrupted run's, 0, of 1 the clean one's, 20.
    private static double[][] Random(int seed, int pairs, Func<int, double> effect, double spread = 0.2, int heads = Heads)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable.Range(0, pairs).Select(_ =>
            {
                double common = Normal();
                return Enumerable.Range(0, heads).Select(head => 20 * (effect(head) + (spread * (head % 2 == 0 ? (0.3 * Normal()) + common : Normal())))).ToArray();
            }),
        ];

        // Box and Muller 1958.
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
    }

    private static SweepResult Assemble(double[][] patched, Positions positions = default)
    {
        TokenPair[] pairs = [.. patched.Select((_, index) => new TokenPair(index, [0, 1, 2], [0, 5, 2], 3, 4))];
        double[][] Rows(double[] heads) => positions.IsEach ? [.. heads.Chunk(heads.Length / 3)] : [heads];
        return SweepAssembler.Assemble(
            new SweepDescription
            {
                SweepId = "test",
                Model = new ModelSummary("model", new string('0', 64), 1, positions.IsEach ? Heads : patched[0].Length, "float64", "cpu"),
                Dataset = "pairs",
                Options = new PatchOptions { Positions = positions },
                Metric = new LogitDifference(),
                StartedAt = default,
                FinishedAt = default,
                SoftwareVersion = "test",
            },
            pairs,
            new SweepRuns(
                patched.Index().ToDictionary(run => run.Index, _ => new Baseline(20, 0)),
                [new LayerPatches(0, [.. pairs.Select(pair => pair.Index)], [.. patched.Select(Rows)], patched.Length, 0)],
                0),
            tokenText: null);
    }
}
