using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>Runs a sweep three ways, checks that they agree, estimates it, and prints what each took.</summary>
internal static class SweepBenchmark
{
    private const int SampledHeads = 24;

    public static int Run(Workload workload, Device device, ScalarType dtype)
    {
        using Transformer model = workload.MakeModel(device, dtype);
        IReadOnlyList<TokenPair> pairs = workload.MakePairs();
        var options = new PatchOptions { Positions = workload.EachPosition ? Positions.Each : Positions.All };
        Console.WriteLine($"{workload}, {dtype.Name()}, {(device.type == DeviceType.CUDA ? "cuda" : $"{get_num_threads()} threads")}");

        // Ours first: the peak of memory is then ours.
        InMemorySweep.Run(model, [.. pairs.Take(1)], options, new LogitDifference(), MemoryBudget.Default);
        var rateBefore = Floor.MatmulRate(device, dtype);
        Floor.Finish(device);
        long started = Stopwatch.GetTimestamp();
        double processorBefore = Floor.ProcessorSeconds();
        SweepRuns ours = InMemorySweep.Run(model, pairs, options, new LogitDifference(), MemoryBudget.Default);
        Floor.Finish(device);
        double oursSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds / pairs.Count;
        double processorSeconds = (Floor.ProcessorSeconds() - processorBefore) / pairs.Count;
        double peakMemoryMiB = PeakMemoryMiB();
        var rateAfter = Floor.MatmulRate(device, dtype);
        double rate = (rateBefore.ByClock + rateAfter.ByClock) / 2;
        double operations = Floor.Operations(model.Config, Chunks.Split(pairs, model.Config, dtype, MemoryBudget.Default), options);
        double achievedRate = operations / (oursSeconds * pairs.Count);
        double floorSeconds = operations / rate / pairs.Count;
        double floorProcessorSeconds = operations / ((rateBefore.ByProcessor + rateAfter.ByProcessor) / 2) / pairs.Count;

        InMemorySweep.Estimate(model, [.. pairs.Take(1)], options, new LogitDifference(), MemoryBudget.Default);
        started = Stopwatch.GetTimestamp();
        InMemorySweep.Estimate(model, pairs, options, new LogitDifference(), MemoryBudget.Default);
        Floor.Finish(device);
        double estimateSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds / pairs.Count;

        // The two others on the first pair and some heads (and one position of each), scaled to all of them.
        (int Layer, int Head, int? Position)[] all =
        [
            .. from layer in Enumerable.Range(0, workload.Layers)
               from head in Enumerable.Range(0, workload.Heads)
               from position in workload.EachPosition ? Enumerable.Range(0, workload.Tokens).Cast<int?>() : [null]
               select (layer, head, position),
        ];
        var random = new Random(0);
        (int Layer, int Head, int? Position)[] sampled = [.. random.GetItems(all, Math.Min(SampledHeads, all.Length))];
        var single = dtype.OfStream() == dtype ? null : BesideFloat32(workload, device, model, pairs, options, ours);
        double worst = 0, scale = ours.Baselines.Values.Max(baseline => Math.Max(Math.Abs(baseline.Clean), Math.Abs(baseline.Corrupted)));
        double original = TimePerRun(run => Original.ThreePasses(model, pairs[0], run.Layer, run.Head, run.Position)) * all.Length;
        Tensor[] cleanZ = Original.CleanZ(model, pairs[0]);
        double perHead = TimePerRun(run => Original.Patched(model, pairs[0], cleanZ[run.Layer], run.Layer, run.Head, run.Position)) * all.Length;

        var table = new Table().AddColumns("way", "s/pair", "times ours");
        Row("(a) three full passes a run (the original)", original);
        Row("(b) one full pass a run, clean run cached", perHead);
        Row("(c) ours", oursSeconds);
        Row("(d) ours, estimated by attribution patching", estimateSeconds);
        Row($"floor: {operations / pairs.Count / 1e9:F1} GFLOP a pair at {rate / 1e9:F0} GFLOP/s", floorSeconds);
        if (single is not null)
        {
            Row("ours in float32, by processor time of both", oursSeconds * single.TimesFaster);
        }

        AnsiConsole.Write(table);
        Console.WriteLine(FormattableString.Invariant(
            $"(a) and (b): {sampled.Length} of {all.Length} runs of the first pair, scaled to all. {Floor.MatmulSize(device)}^3 product before {rateBefore.ByClock / 1e9:F0}, after {rateAfter.ByClock / 1e9:F0} GFLOP/s."));
        Console.WriteLine(FormattableString.Invariant(
            $"Ours: {achievedRate / 1e12:F3} TFLOP/s, {achievedRate / rate:P1} of the device's own product."));
        Console.WriteLine(FormattableString.Invariant(
            $"Largest difference between the ways: {worst:E1} at a metric of {scale:F2} ({worst / scale:E1} of its scale)."));
        Console.WriteLine(JsonSerializer.Serialize(
            new
            {
                pairs = workload.Pairs,
                originalSecondsPerPair = Math.Round(original, 4),
                forwardPerHeadSecondsPerPair = Math.Round(perHead, 4),
                estimateSecondsPerPair = Math.Round(estimateSeconds, 4),
                oursSecondsPerPair = Math.Round(oursSeconds, 4),
                floorSecondsPerPair = Math.Round(floorSeconds, 4),
                oursOverFloor = Math.Round(oursSeconds / floorSeconds, 3),
                oursOverFloorByProcessorTime = Math.Round(processorSeconds / floorProcessorSeconds, 3),
                peakMemoryMiB = Math.Round(peakMemoryMiB),
                achievedTflops = Math.Round(achievedRate / 1e12, 6),
                timesFasterThanFloat32 = single?.TimesFaster,
                timesFasterThanFloat32ByClock = single?.TimesFasterByClock,
                largestDifferenceToFloat32OfScale = single?.Largest,
                meanDifferenceToFloat32OfScale = single?.Mean,
            }));
        if (worst > Tolerance(dtype) * scale)
        {
            Console.Error.WriteLine("The ways disagree: the timings mean nothing.");
            return 1;
        }

        return 0;

        double TimePerRun(Func<(int Layer, int Head, int? Position), double> run)
        {
            run(sampled[0]);
            Floor.Finish(device);
            long from = Stopwatch.GetTimestamp();
            foreach (var one in sampled)
            {
                double value = run(one);
                double our = ours.Layers.Single(layer => layer.Layer == one.Layer && layer.PairIndices.Contains(0))
                    is var patches ? patches.PatchedMetric[patches.PairIndices.ToList().IndexOf(0)][one.Position ?? 0][one.Head] : 0;
                worst = Math.Max(worst, Math.Abs(value - our));
            }

            return Stopwatch.GetElapsedTime(from).TotalSeconds / sampled.Length;
        }

        void Row(string way, double seconds) =>
            table.AddRow(way, seconds.ToString("F3", CultureInfo.InvariantCulture), (seconds / oursSeconds).ToString("F2", CultureInfo.InvariantCulture));
    }

    /// <summary>
    /// The same sweep in float32, of the same weights before they are rounded, in turn with ours: how many times longer it takes (the median of three), by
    /// processor time and by the clock, and how far apart the patched metrics are, of the metric's scale.
    /// </summary>
    private static Float32Beside BesideFloat32(
        Workload workload, Device device, Transformer model, IReadOnlyList<TokenPair> pairs, PatchOptions options, SweepRuns ours)
    {
        using Transformer single = workload.MakeModel(device, ScalarType.Float32);
        SweepRuns exact = InMemorySweep.Run(single, pairs, options, new LogitDifference(), MemoryBudget.Default);
        var times = Enumerable.Range(0, 3).Select(_ => (Of: Time(single), Ours: Time(model))).ToArray();
        double scale = exact.Baselines.Values.Max(baseline => Math.Max(Math.Abs(baseline.Clean), Math.Abs(baseline.Corrupted)));
        double[] differences = [.. Values(exact).Zip(Values(ours), (one, other) => Math.Abs(one - other) / scale)];
        return new Float32Beside(
            Median(times.Select(time => time.Of.Processor / time.Ours.Processor)),
            Median(times.Select(time => time.Of.Clock / time.Ours.Clock)),
            differences.Max(),
            differences.Average());

        (double Clock, double Processor) Time(Transformer timed)
        {
            long from = Stopwatch.GetTimestamp();
            double before = Floor.ProcessorSeconds();
            InMemorySweep.Run(timed, pairs, options, new LogitDifference(), MemoryBudget.Default);
            Floor.Finish(device);
            return (Stopwatch.GetElapsedTime(from).TotalSeconds, Floor.ProcessorSeconds() - before);
        }

        static double Median(IEnumerable<double> values) => Math.Round(values.Order().ElementAt(1), 3);

        static IEnumerable<double> Values(SweepRuns runs) => runs.Layers.OrderBy(layer => layer.Layer)
            .SelectMany(layer => layer.PatchedMetric.SelectMany(pair => pair.SelectMany(row => row)));
    }

    private sealed record Float32Beside(double TimesFaster, double TimesFasterByClock, double Largest, double Mean);

    /// <summary>Of the metric's scale, as for the golden values; bfloat16 has 8 bits, and both ways round.</summary>
    private static double Tolerance(ScalarType dtype) => dtype == ScalarType.BFloat16 ? 0.1 : 1e-3;

    private static double PeakMemoryMiB()
    {
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64 / 1048576.0;
    }
}
