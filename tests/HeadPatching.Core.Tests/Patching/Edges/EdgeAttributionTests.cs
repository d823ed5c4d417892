using HeadPatching.Core.Circuits;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Edges;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching.Edges;

/// <summary>Estimates of edges, held against the metric's slope by central differences.</summary>
public class EdgeAttributionTests
{
    private const double Step = 1e-4;

    [Theory]
    [InlineData("gpt2-golden-b", 1, Direction.Denoise)]
    [InlineData("gpt2-golden-b", 5, Direction.Noise)]
    [InlineData("gpt-neox-golden", 3, Direction.Denoise)]
    [InlineData("llama-golden", 2, Direction.Noise)]
    [InlineData("gemma2-golden", 2, Direction.Denoise)]
    [InlineData("olmo2-golden", 1, Direction.Noise)]
    [InlineData("opt350-golden", 1, Direction.Denoise)]
    public void An_estimate_is_the_mean_slope_of_the_metric_between_the_runs(string model, int steps, Direction direction)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        Edge[] all = [.. Edge.All(golden.Model.Config)], some = [.. all.Where((_, index) => index % (all.Length / 25) == 0)];
        TokenPair[] pairs = [.. golden.BothWays.Where((_, index) => index % 3 == 0).Take(2)];
        EdgeRuns estimates = EdgeSweep.Estimate(
            golden.Model, pairs, new EdgeOptions { Direction = direction }, new LogitDifference(), MemoryBudget.Default, steps, edges: some);
        Assert.Equal(0, estimates.PatchedRuns);
        for (int pair = 0; pair < pairs.Length; pair++)
        {
            for (int edge = 0; edge < some.Length; edge++)
            {
                double slope = Enumerable.Range(1, steps).Average(k => (Moved(k, Step) - Moved(k, -Step)) / (2 * Step));
                double own = estimates.Patched[edge][pair] - estimates.Baselines[pair].FromTo(direction).From;
                Assert.True(Math.Abs(slope - own) < 1e-6, $"{some[edge]}: {own}, not {slope}");

                double Moved(int k, double step) =>
                    SlowEdges.LogitDifference(golden.Model, pairs[pair], some[edge], direction, step, alpha: 1 - ((double)k / steps));
            }
        }
    }

    [Fact]
    public void Ungrouped_estimates_of_a_key_or_value_head_add_up_to_the_grouped_one()
    {
        using var golden = new GoldenModel("llama-golden", ScalarType.Float64);
        int sharing = golden.Model.Config.Heads / golden.Model.Config.KeyValueHeads;
        Assert.True(sharing > 1);
        EdgeRuns grouped = Estimated(ungrouped: false), ungrouped = Estimated(ungrouped: true);
        double unpatched = grouped.Baselines[0].Corrupted;
        Dictionary<Edge, double> apart = ungrouped.Edges.Zip(ungrouped.Patched).ToDictionary(one => one.First, one => one.Second[0] - unpatched);
        foreach (var (edge, patched) in grouped.Edges.Zip(grouped.Patched))
        {
            bool isShared = edge.Receiver.Input is ReceiverInput.K or ReceiverInput.V;
            double sum = !isShared ? apart[edge] : Enumerable.Range(edge.Receiver.Head * sharing, sharing).Sum(head =>
                apart[new Edge(edge.Sender, Receiver.Of(edge.Receiver.Layer, head, edge.Receiver.Input!.Value))]);
            Assert.Equal(patched[0] - unpatched, sum, 1e-9);
        }

        EdgeRuns Estimated(bool ungrouped) => EdgeSweep.Estimate(
            golden.Model, [golden.Pairs[0]], new EdgeOptions { Ungrouped = ungrouped }, new LogitDifference(), MemoryBudget.Default, gradient: Gradient.FrozenNorms);
    }
}
