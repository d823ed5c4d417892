using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Testing;

/// <summary>Results of sweeps that were never run, for tests of what is made of results.</summary>
internal static class ExampleSweep
{
    private static readonly string[] CleanTexts =
        ["<|endoftext|>", "When", " Mary", " and", " John", " went", " to", " the", " store", ",", " John", " gave", " a", " drink", " to"];

    /// <summary>
    /// A circuit as people know it: a few strong heads, some of them negative, the rest near 0. The same numbers at each call.
    /// </summary>
    public static SweepResult Of(int layers, int heads, int pairs = 5, bool eachPosition = false)
    {
        var random = new Random(layers + (1000 * heads));
        var strong = Enumerable.Range(0, Math.Max(3, layers * heads / 24))
            .Select(_ => (Layer: random.Next(layers / 2, layers), Head: random.Next(heads), Effect: (random.NextDouble() * 0.9) - 0.3))
            .ToList();
        var heatmap = Table(layers, heads, (layer, head) =>
            ((random.NextDouble() - 0.5) * 0.03) + strong.Where(one => one.Layer == layer && one.Head == head).Sum(one => one.Effect));
        return From(heatmap, pairs, eachPosition);
    }

    /// <summary>A result with these effects, [layer][head].</summary>
    public static SweepResult From(double[][] heatmap, int pairs = 2, bool eachPosition = false)
    {
        var heads = heatmap
            .SelectMany((row, layer) => row.Select((effect, head) => new HeadResult(
                layer, head, $"L{layer}H{head}", $"blocks.{layer}.attn.hook_z", effect, 0.1 / 3, 3.25, -1.5, -1.5 + (4.75 * effect))
            {
                ConfidenceInterval = new ConfidenceInterval(effect - (0.2 / 3), effect + (0.2 / 3)),
                Pairs = pairs,
                Position = eachPosition ? -1 : null,
            }))
            .ToList();
        return new SweepResult
        {
            SweepId = "example",
            Model = new ModelSummary(
                "ioi-demo", "9f2c4be1d7703a5588f0e6c1aa0b52e3c94d17f6082b9ce4f1350ad28e76b1c3", heatmap.Length, heatmap[0].Length, "float32", "cpu"),
            Dataset = new DatasetSummary("ioi", pairs),
            Patch = Patch.Z,
            Positions = eachPosition ? Positions.Each : Positions.All,
            Direction = Direction.Denoise,
            Metric = "logit-difference",
            MetricDetails = new LogitDifference().Details,
            Normalisation = Effect.Formula(Direction.Denoise),
            Aggregation = Aggregation.MeanOfRatios,
            Threshold = 0.1,
            Seed = 7,
            Intervals = ConfidenceInterval.Kind,
            Heads = heads,
            Heatmap = heatmap,
            HeatmapByPosition = eachPosition ? ByPosition(heatmap, 1) : null,
            ImportantHeads = [.. heads.Where(head => Math.Abs(head.PatchingEffect) > 0.1).OrderByDescending(head => Math.Abs(head.PatchingEffect))],
            ExcludedPairs = pairs > 3 ? [new ExcludedPair(3, Exclusion.Degenerate)] : [],
            Pairs = [.. Enumerable.Range(0, pairs).Select(index => Pair(index, heatmap, eachPosition))],
            Warnings = [],
            Timings = new SweepTimings(
                new DateTimeOffset(2025, 3, 4, 5, 6, 7, TimeSpan.Zero),
                new DateTimeOffset(2025, 3, 4, 5, 6, 19, TimeSpan.Zero),
                CacheSeconds: 0.75,
                PatchSeconds: 10.5,
                PatchedRuns: (long)heads.Count * pairs),
            Software = new SoftwareSummary("0.1.0"),
        };
    }

    /// <summary>Layers patched as a whole: a residual stream that matters at the second subject early on and at the end later.</summary>
    public static SweepResult OfLayers(int layers, Patch patch = Patch.ResidPre, bool eachPosition = false, int pairs = 5)
    {
        var heatmap = Table(layers, 1, (layer, _) => eachPosition && 2 * layer < layers ? -0.9 + (0.1 * layer) : (layer + 1.0) / layers);
        var result = From(heatmap, pairs, eachPosition);
        HeadResult Whole(HeadResult head) => head with { Head = null, Name = $"L{head.Layer}", HookPoint = $"blocks.{head.Layer}.hook_{patch.NameOf()}" };
        return result with
        {
            Patch = patch,
            Heads = [.. result.Heads.Select(Whole)],
            ImportantHeads = [.. result.ImportantHeads.Select(Whole)],
        };
    }

    /// <summary>Keys of a grouped-query model, whose heads share them.</summary>
    public static SweepResult OfKeyValueHeads(int layers, int keyValueHeads)
    {
        var result = Of(layers, keyValueHeads);
        HeadResult Named(HeadResult head) => head with { Name = $"L{head.Layer}KV{head.Head}", HookPoint = $"blocks.{head.Layer}.attn.hook_k" };
        return result with
        {
            Patch = Patch.K,
            Model = result.Model with { Heads = 4 * keyValueHeads, KeyValueHeads = keyValueHeads },
            Heads = [.. result.Heads.Select(Named)],
            ImportantHeads = [.. result.ImportantHeads.Select(Named)],
        };
    }

    /// <summary>A sweep that estimated all heads and ran those with the largest estimates.</summary>
    public static SweepResult Screened(int layers, int heads, int run)
    {
        var result = Of(layers, heads);
        var ranked = result.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(run).Select(head => head.Name).ToHashSet();
        HeadResult Estimate(HeadResult head) => ranked.Contains(head.Name)
            ? head with { EstimatedEffect = (0.8 * head.PatchingEffect) + 0.01 }
            : head with { EstimatedEffect = head.PatchingEffect, Estimated = true };
        return result with
        {
            Method = Method.Screen,
            ScreenTop = run,
            Heads = [.. result.Heads.Select(Estimate)],
            ImportantHeads = [.. result.ImportantHeads.Select(Estimate)],
        };
    }

    private static PairResult Pair(int index, double[][] heatmap, bool eachPosition)
    {
        var corrupted = CleanTexts.ToArray();
        corrupted[10] = " Mary";
        var effect = heatmap.Select(row => row.Select(value => value * (1 + (0.1 * index))).ToArray()).ToArray();
        var metric = effect.Select(row => row.Select(value => -1.5 + (4.75 * value)).ToArray()).ToArray();
        return new PairResult
        {
            Index = index,
            CleanTokens = [.. Enumerable.Range(0, CleanTexts.Length)],
            CorruptedTokens = [.. Enumerable.Range(0, CleanTexts.Length).Select(id => id == 10 ? 2 : id)],
            CleanTokenTexts = CleanTexts,
            CorruptedTokenTexts = corrupted,
            Correct = 2,
            Incorrect = 4,
            CorrectText = " Mary",
            IncorrectText = " John",
            CleanMetric = 3.25 + (0.125 * index),
            CorruptedMetric = -1.5,
            Degenerate = index == 3,
            PatchingEffect = eachPosition ? null : effect,
            PatchedMetric = eachPosition ? null : metric,
            PatchingEffectByPosition = eachPosition ? ByPosition(effect, 1) : null,
            PatchedMetricByPosition = eachPosition ? ByPosition(metric, 1) : null,
        };
    }

    // [layer][position][head]: all of it at the second subject and at the end.
    private static double[][][] ByPosition(double[][] table, double scale) =>
        [.. table.Select(row => Enumerable.Range(0, CleanTexts.Length)
            .Select(position => row.Select(value => value * scale * (position switch { 10 => -0.4, 14 => 1, _ => 0 })).ToArray())
            .ToArray())];

    private static double[][] Table(int layers, int heads, Func<int, int, double> value) =>
        [.. Enumerable.Range(0, layers).Select(layer => Enumerable.Range(0, heads).Select(head => value(layer, head)).ToArray())];
}
