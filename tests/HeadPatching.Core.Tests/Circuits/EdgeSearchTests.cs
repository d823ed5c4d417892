using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Edges;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Circuits;

/// <summary>Edges that are found by estimates first: what of them is patched, and that it is the same as when all are.</summary>
public sealed class EdgeSearchTests
{
    [Theory]
    [InlineData("gpt2-golden-a", Direction.Denoise, 1)]
    [InlineData("llama-golden", Direction.Noise, 3)]
    public void A_screen_patches_the_strongest_estimates_and_keeps_the_estimates_of_the_others(string name, Direction direction, int steps)
    {
        using var golden = new GoldenModel(name, ScalarType.Float64);
        Edge[] all = [.. Edge.All(golden.Model.Config)];
        var runs = new Runs(golden, direction);
        EdgeEffects exact = Find(EdgeMethod.Exact), estimated = Find(steps == 1 ? EdgeMethod.Attribution : EdgeMethod.AttributionIg), screened = Find(EdgeMethod.Screen);
        Assert.Equal(12L * golden.BothWays.Count, runs.Patched);
        int[] strongest = [.. estimated.PatchingEffect.Index().OrderByDescending(edge => Math.Abs(edge.Item)).Take(12).Select(edge => edge.Index)];
        for (int edge = 0; edge < all.Length; edge++)
        {
            bool run = strongest.Contains(edge);
            Assert.Equal(run ? golden.BothWays.Count : 0, screened.Pairs![edge]);
            Assert.Equal((run ? exact : estimated).PatchingEffect[edge], screened.PatchingEffect[edge], 1e-9);
            Assert.Equal(estimated.PatchingEffect[edge], screened.EstimatedEffect![edge], 1e-12);
        }

        EdgeEffects Find(EdgeMethod method)
        {
            runs.Patched = 0;
            return EdgeSearch.Find(
                new EdgeWork(method, steps, Ungrouped: false) { Top = 12 }, all, golden.BothWays, Aggregation.MeanOfRatios, direction, seed: 0, runs.Run);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Adaptive_edges_are_decided_as_all_runs_decide_them_by_fewer(int seed)
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);

        // Many pairs that differ little: each has one of the model's own and another last token but one.
        TokenPair[] pairs = [.. Enumerable.Range(0, 90).Select(index => golden.BothWays[index % golden.BothWays.Count] with { Index = index }).Select(Varied)];
        Edge[] all = [.. Edge.All(golden.Model.Config)];
        var runs = new Runs(golden, Direction.Denoise);
        EdgeEffects exact = Find(EdgeMethod.Exact);
        long allRuns = runs.Patched;
        double threshold = exact.PatchingEffect.Select(Math.Abs).Order().ElementAt(all.Length * 9 / 10) * 1.05;
        EdgeEffects adaptive = Find(EdgeMethod.Adaptive, threshold);
        Assert.InRange(runs.Patched, 1, (long)(0.9 * allRuns));
        Assert.Equal(runs.Patched, adaptive.Pairs!.Sum(on => (long)on));
        Assert.Contains(Decision.Above, adaptive.Decision!);
        foreach (var (edge, effect) in exact.PatchingEffect.Index())
        {
            Assert.Equal(Math.Abs(effect) > threshold ? Decision.Above : Decision.Below, adaptive.Decision![edge]);
            Assert.InRange(effect, adaptive.Low![edge]!.Value - 1e-9, adaptive.High![edge]!.Value + 1e-9);
            Assert.True(adaptive.Pairs![edge] < pairs.Length || Math.Abs(effect - adaptive.PatchingEffect[edge]) < 1e-9);
        }

        // The same runs lead to the same rounds, so that it can be gone on with.
        int rounds = runs.Asked.Count;
        Assert.Equal(adaptive.PatchingEffect, Find(EdgeMethod.Adaptive, threshold).PatchingEffect);
        Assert.Equal(rounds, runs.Asked.Count);

        EdgeEffects Find(EdgeMethod method, double? above = null)
        {
            runs.Patched = 0;
            runs.Asked.Clear();
            return EdgeSearch.Find(
                new EdgeWork(method, 2, Ungrouped: false) { Threshold = above }, all, pairs, Aggregation.MeanOfRatios, Direction.Denoise, seed, runs.Run);
        }

        TokenPair Varied(TokenPair pair)
        {
            int token = (7 * pair.Index) % golden.Model.Config.Vocabulary, at = pair.Length - 2;
            return pair with { Clean = [.. pair.Clean.Select((id, place) => place == at ? token : id)], Corrupted = [.. pair.Corrupted.Select((id, place) => place == at ? token : id)] };
        }
    }

    private sealed class Runs(GoldenModel golden, Direction direction)
    {
        public long Patched { get; set; }

        public List<IReadOnlyList<Edge>> Asked { get; } = [];

        public PatchSetRuns Run(IReadOnlyList<TokenPair> pairs, IReadOnlyList<Edge> edges, EdgeWork how)
        {
            Asked.Add(edges);
            var options = new EdgeOptions { Direction = direction, Ungrouped = how.Ungrouped };
            EdgeRuns runs = how.Method == EdgeMethod.Exact
                ? EdgeSweep.Run(golden.Model, pairs, options, new LogitDifference(), MemoryBudget.Default, edges)
                : EdgeSweep.Estimate(golden.Model, pairs, options, new LogitDifference(), MemoryBudget.Default, how.Steps, edges: edges);
            Patched += how.Method == EdgeMethod.Exact ? (long)edges.Count * pairs.Count : 0;
            return new PatchSetRuns(runs.Baselines, runs.Patched);
        }
    }
}
