using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>The heads that are worth an exact patch.</summary>
public class ScreenTests
{
    [Fact]
    public void The_strongest_come_first_and_equal_ones_by_layer_then_head()
    {
        // One pair, clean 1 and corrupted 0: the estimate is the effect. Layers come in any order.
        var runs = new SweepRuns(
            new Dictionary<int, Baseline> { [0] = new(1, 0) },
            [Layer(1, 0.5, -0.5, 0), Layer(0, 0.2, 0.5, -0.9)],
            CacheSeconds: 0);
        (int, int)[] ranked = [(0, 2), (0, 1), (1, 0), (1, 1), (0, 0), (1, 2)];
        Assert.Equal(ranked.Take(3), Top(3));
        Assert.Equal(ranked, Top(6));
        Assert.Equal(ranked, Top(100));
        Assert.Throws<ArgumentOutOfRangeException>(() => Top(0));

        IReadOnlyList<(int, int)> Top(int count) => Screen.Top(count, [new TokenPair(0, [1, 2], [1, 3], 0, 1)], runs, new PatchOptions(), Aggregation.MeanOfRatios);

        static LayerPatches Layer(int layer, params double[] effects) => new(layer, [0], [[effects]], PatchedRuns: 0, Seconds: 0);
    }

    [Fact]
    public void The_order_is_that_of_the_effects_that_the_result_reports()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        TokenPair shorter = golden.Pairs[0] with { Index = 7, Clean = [.. golden.Pairs[0].Clean.Take(9)], Corrupted = [.. golden.Pairs[0].Corrupted.Take(9)] };
        var roles = new Dictionary<string, int> { ["FIRST"] = 2, ["LAST"] = 8 };
        TokenPair[] pairs = [.. golden.Pairs, shorter with { Roles = roles }], named = [.. pairs.Select(pair => pair with { Roles = roles })];
        foreach (var (positions, swept) in new[] { (Positions.All, pairs), (Positions.Each, pairs), (Positions.Each, named), (Positions.EachRole, named) })
        {
            foreach (Direction direction in Enum.GetValues<Direction>())
            {
                foreach (Aggregation aggregation in Enum.GetValues<Aggregation>())
                {
                    var options = new PatchOptions { Positions = positions, Direction = direction };
                    SweepRuns estimates = InMemorySweep.Estimate(golden.Model, swept, options, new LogitDifference(), MemoryBudget.Default);
                    SweepResult result = ParityTests.Assemble(golden.Model, swept, options, estimates, aggregation);
                    IEnumerable<HeadResult> expected = result.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(5);
                    Assert.Equal(expected.Select(head => (head.Layer, head.Head!.Value)), Screen.Top(5, swept, estimates, options, aggregation));
                }
            }
        }
    }
}
