using System.Diagnostics;
using System.Text.Json;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Edges;
using HeadPatching.Core.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>Patches edges, and some of them by one full pass each; checks that both agree and prints what they took.</summary>
internal static class EdgeBenchmark
{
    private const int SampledEdges = 48;

    /// <summary>Runs it.</summary>
    /// <param name="workload">The model's shape and the pairs.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="dtype">The type it computes in.</param>
    /// <param name="every">Only the edges into every so many receivers.</param>
    public static int Run(Workload workload, Device device, ScalarType dtype, int every)
    {
        using Transformer model = workload.MakeModel(device, dtype);
        IReadOnlyList<TokenPair> pairs = workload.MakePairs();
        Edge[] edges = [.. Edge.All(model.Config).GroupBy(edge => edge.Receiver).Where((_, receiver) => receiver % every == 0).SelectMany(receiver => receiver)];
        var options = new EdgeOptions();
        Console.WriteLine($"{workload}, {edges.Length} edges, {dtype.Name()}, {(device.type == DeviceType.CUDA ? "cuda" : $"{get_num_threads()} threads")}");

        // Full passes before and after ours, so that a machine that others use too is the same for both; ours first of all, once, on few edges.
        EdgeSweep.Run(model, [pairs[0]], options, new LogitDifference(), MemoryBudget.Default, [.. edges.Take(200)]);
        EdgeSweep.Estimate(model, [pairs[0]], options, new LogitDifference(), MemoryBudget.Default);
        IReadOnlyDictionary<Node, Tensor> changes = Original.Changes(model, pairs[0]);
        int[] sampled = [.. new Random(0).GetItems([.. Enumerable.Range(0, edges.Length)], Math.Min(SampledEdges, edges.Length))];
        double[] values = new double[sampled.Length];
        var before = SecondsPerPass();
        var rateBefore = Floor.MatmulRate(device, dtype);
        double processorBefore = Floor.ProcessorSeconds();
        long started = Stopwatch.GetTimestamp();
        EdgeRuns ours = EdgeSweep.Run(model, pairs, options, new LogitDifference(), MemoryBudget.Default, edges);
        Floor.Finish(device);
        double oursSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds / pairs.Count;
        double processorSeconds = (Floor.ProcessorSeconds() - processorBefore) / pairs.Count;
        var rateAfter = Floor.MatmulRate(device, dtype);
        var after = SecondsPerPass();
        double fullPassSeconds = edges.Length * (before.ByClock + after.ByClock) / 2, fullPassProcessorSeconds = edges.Length * (before.ByProcessor + after.ByProcessor) / 2;

        started = Stopwatch.GetTimestamp();
        EdgeSweep.Estimate(model, pairs, options, new LogitDifference(), MemoryBudget.Default);
        Floor.Finish(device);
        double estimateSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds / pairs.Count;

        double rate = (rateBefore.ByClock + rateAfter.ByClock) / 2, processorRate = (rateBefore.ByProcessor + rateAfter.ByProcessor) / 2;
        double operations = Floor.Operations(model.Config, Chunks.Split(pairs, model.Config, dtype, MemoryBudget.Default), edges) / pairs.Count;
        double floorSeconds = operations / rate;
        double scale = ours.Baselines.Max(baseline => Math.Max(Math.Abs(baseline.Clean), Math.Abs(baseline.Corrupted)));
        double worst = sampled.Zip(values).Max(one => Math.Abs(one.Second - ours.Patched[one.First][0]));
        Console.WriteLine(FormattableString.Invariant($"One full pass an edge: {before.ByClock * 1e3:F1} ms before, {after.ByClock * 1e3:F1} ms after, {sampled.Length} edges each; for all {fullPassSeconds:F1} s a pair."));
        Console.WriteLine(FormattableString.Invariant($"Ours: {oursSeconds:F2} s a pair; estimated by attribution patching {estimateSeconds:F3} s."));
        Console.WriteLine(FormattableString.Invariant(
            $"Floor: {operations / 1e9:F0} GFLOP a pair at {rate / 1e9:F0} GFLOP/s ({Floor.MatmulSize(device)}^3 product before {rateBefore.ByClock / 1e9:F0}, after {rateAfter.ByClock / 1e9:F0}), {floorSeconds:F2} s."));
        Console.WriteLine(FormattableString.Invariant($"Largest difference between the ways: {worst:E1} at a metric of {scale:F2}."));
        Console.WriteLine(JsonSerializer.Serialize(
            new
            {
                pairs = workload.Pairs,
                edges = edges.Length,
                oursSecondsPerPair = Math.Round(oursSeconds, 4),
                fullPassPerEdgeSecondsPerPair = Math.Round(fullPassSeconds, 4),
                timesFasterThanFullPass = Math.Round(fullPassSeconds / oursSeconds, 2),
                timesFasterByProcessorTime = Math.Round(fullPassProcessorSeconds / processorSeconds, 2),
                estimateSecondsPerPair = Math.Round(estimateSeconds, 4),
                floorSecondsPerPair = Math.Round(floorSeconds, 4),
                oursOverFloor = Math.Round(oursSeconds / floorSeconds, 3),
                oursOverFloorByProcessorTime = Math.Round(processorSeconds / (operations / processorRate), 3),
                achievedTflops = Math.Round(operations / oursSeconds / 1e12, 6),
            }));
        if (worst > (dtype == ScalarType.BFloat16 ? 0.1 : 1e-3) * scale)
        {
            Console.Error.WriteLine("The ways disagree: the timings mean nothing.");
            return 1;
        }

        return 0;

        // Of some edges, by one full pass each.
        (double ByClock, double ByProcessor) SecondsPerPass()
        {
            Floor.Finish(device);
            double processor = Floor.ProcessorSeconds();
            long from = Stopwatch.GetTimestamp();
            for (int sample = 0; sample < sampled.Length; sample++)
            {
                Edge edge = edges[sampled[sample]];
                values[sample] = Original.EdgePatched(model, pairs[0], edge, changes[edge.Sender]);
            }

            return (Stopwatch.GetElapsedTime(from).TotalSeconds / sampled.Length, (Floor.ProcessorSeconds() - processor) / sampled.Length);
        }
    }
}
