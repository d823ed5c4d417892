using System.Globalization;
using System.Text.Json;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using Spectre.Console;

namespace HeadPatching.Benchmarks;

/// <summary>
/// What results say of all heads together, held against the truth: many pairs of the demo model stand for all pairs of their kind, and small samples of them
/// for sweeps. Also what it costs to say it over as many pairs as there are.
/// </summary>
internal static class TogetherBenchmark
{
    private const double Threshold = 0.1;

    private static readonly int[] SampleSizes = [5, 10, 20, 50, 100];
    private static readonly int[] Tops = [1, 5];

    public static int Run(int pairs, int samples)
    {
        (double Clean, double Corrupted, double[] Patched)[] all = CoverageBenchmark.Sweep(pairs);
        SweepResult whole = Assemble(all);
        TimeSpan before = Environment.CpuUsage.TotalTime;
        Assemble(all);
        double seconds = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        double[] truth = [.. whole.Heads.Select(head => head.PatchingEffect)];
        var measured = new List<object>();
        var table = new Table().AddColumns("pairs", "all together hold", "each by itself", "wider by", "wrong side", "surely not 0", "surely beyond", "top 1", "in truth", "top 5", "in truth");
        foreach (int size in SampleSizes)
        {
            var counts = new Counts();
            Parallel.For(0, samples, seed =>
            {
                var random = new Random(seed);
                SweepResult sample = Assemble([.. Enumerable.Range(0, size).Select(_ => all[random.Next(all.Length)])]);
                lock (counts)
                {
                    counts.Add(sample, truth);
                }
            });
            double Share(double count) => count / samples;
            double[] numbers =
            [
                Share(counts.TogetherHold), Share(counts.EachHold), Share(counts.Wider), Share(counts.WrongSide), Share(counts.NotZero), Share(counts.Beyond),
                Share(counts.Claimed[0]), Share(counts.True[0]), Share(counts.Claimed[1]), Share(counts.True[1]),
            ];
            table.AddRow([$"{size}", .. numbers.Select((number, column) => number.ToString(column is 2 or 4 or 5 ? "F2" : "P1", CultureInfo.InvariantCulture))]);
            measured.Add(new
            {
                pairs = size,
                togetherHold = numbers[0],
                eachHold = numbers[1],
                wider = Math.Round(numbers[2], 3),
                wrongSide = numbers[3],
                surelyNotZero = numbers[4],
                surelyBeyond = numbers[5],
                top1 = new[] { Math.Round(numbers[6], 4), numbers[7] },
                top5 = new[] { Math.Round(numbers[8], 4), Math.Round(numbers[9], 4) },
            });
        }

        AnsiConsole.Write(table);
        Console.WriteLine(JsonSerializer.Serialize(new { pairs, samples, assembleProcessorSeconds = Math.Round(seconds, 2), together = measured }));
        return 0;
    }

    private static SweepResult Assemble((double Clean, double Corrupted, double[] Patched)[] runs)
    {
        const int Layers = 3;
        int[] indices = [.. Enumerable.Range(0, runs.Length)];
        return SweepAssembler.Assemble(
            new SweepDescription
            {
                SweepId = "",
                Model = new ModelSummary("", "", Layers, runs[0].Patched.Length / Layers, "", ""),
                Dataset = "",
                Options = new PatchOptions(),
                Threshold = Threshold,
                Metric = new LogitDifference(),
                StartedAt = default,
                FinishedAt = default,
                SoftwareVersion = "",
            },
            [.. indices.Select(index => new TokenPair(index, [0, 1], [2, 1], 0, 2))],
            new SweepRuns(
                indices.ToDictionary(index => index, index => new Baseline(runs[index].Clean, runs[index].Corrupted)),
                [.. Enumerable.Range(0, Layers).Select(layer => new LayerPatches(
                    layer, indices, [.. runs.Select(run => (double[][])[[.. run.Patched.Chunk(run.Patched.Length / Layers).ElementAt(layer)]])], PatchedRuns: 0, Seconds: 0))],
                CacheSeconds: 0),
            tokenText: null);
    }

    private sealed class Counts
    {
        /// <summary>Samples in which the joint intervals of all heads hold the true effects, and those in which each head's own does.</summary>
        public int TogetherHold, EachHold;

        /// <summary>Samples in which some head is said to be surely beyond the threshold that is not, or surely within.</summary>
        public int WrongSide;

        /// <summary>Heads that are surely not 0, and surely beyond the threshold.</summary>
        public int NotZero, Beyond;

        /// <summary>A joint interval's width by that of the head's own, the mean over heads.</summary>
        public double Wider;

        /// <summary>Of the strongest 1 and 5 of each sample the share that is among as many in truth, as <c>inTop</c> has it, and as it is.</summary>
        public double[] Claimed = [0, 0], True = [0, 0];

        public void Add(SweepResult sample, double[] truth)
        {
            TogetherHold += sample.Heads.Index().All(head => head.Item.JointInterval!.Value.Contains(truth[head.Index])) ? 1 : 0;
            EachHold += sample.Heads.Index().All(head => head.Item.ConfidenceInterval!.Value.Contains(truth[head.Index])) ? 1 : 0;
            WrongSide += sample.Heads.Index().Any(head => head.Item.ExcludesThreshold!.Value && Math.Abs(head.Item.PatchingEffect) > Threshold != Math.Abs(truth[head.Index]) > Threshold) ? 1 : 0;
            NotZero += sample.Heads.Count(head => head.ExcludesZero!.Value);
            Beyond += sample.Heads.Count(head => head.JointInterval!.Value.LeastSize > Threshold);
            Wider += sample.Heads.Average(head => (head.JointInterval!.Value.High - head.JointInterval.Value.Low) / (head.ConfidenceInterval!.Value.High - head.ConfidenceInterval.Value.Low));
            foreach (var (index, top) in Tops.Index())
            {
                var strongest = truth.Index().OrderByDescending(head => Math.Abs(head.Item)).Take(top).Select(head => head.Index).ToHashSet();
                var found = sample.Heads.Index().OrderByDescending(head => Math.Abs(head.Item.PatchingEffect)).Take(top).ToArray();
                Claimed[index] += found.Average(head => head.Item.InTop![index]);
                True[index] += found.Average(head => strongest.Contains(head.Index) ? 1.0 : 0);
            }
        }
    }
}
