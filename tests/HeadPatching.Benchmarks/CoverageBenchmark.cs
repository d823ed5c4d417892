using System.Globalization;
using System.Text.Json;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.DemoModel;
using MathNet.Numerics.Distributions;
using Spectre.Console;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>
/// How often an interval holds what it should: many pairs of the demo model stand for all pairs of their kind, their effect for the true one,
/// and small samples of them for sweeps. Every kind of interval is made of every sample, and counted where it holds the true effect.
/// </summary>
internal static class CoverageBenchmark
{
    private static readonly int[] SampleSizes = [5, 10, 20, 50, 100];

    private delegate (double Low, double High)[] Intervals(Sample sample);

    private static readonly (string Name, Intervals Of)[] Kinds =
    [
        ("percentile bootstrap", PercentileBootstrap),
        ("t", StudentsT),
        ("bootstrap-t", BootstrapT),
        ("skew-corrected t (ours)", Ours),
    ];

    public static int Run(int pairs, int samples, int draws)
    {
        (double Clean, double Corrupted, double[] Patched)[] all = Sweep(pairs);
        double[] differences = [.. all.Select(pair => Math.Abs(pair.Clean - pair.Corrupted)).Order()];
        Console.WriteLine(FormattableString.Invariant(
            $"{pairs} pairs of ioi-generated, {all[0].Patched.Length} heads of ioi-demo, {samples} samples of each size, {draws} draws a bootstrap. |clean - corrupted|: least {differences[0]:F2}, median {differences[pairs / 2]:F2}."));
        var measured = new List<object>();
        foreach (Aggregation aggregation in new[] { Aggregation.MeanOfRatios, Aggregation.RatioOfMeans })
        {
            var population = new Sample(
                [.. all.Select(pair => pair.Patched.Select(patched => aggregation == Aggregation.MeanOfRatios
                    ? Effect.Of(patched, pair.Corrupted, pair.Clean)
                    : patched - pair.Corrupted).ToArray())],
                [.. all.Select(pair => aggregation == Aggregation.MeanOfRatios ? 1 : pair.Clean - pair.Corrupted)],
                new Random(0),
                draws: 0);
            double[] truth = population.Effects;
            var table = new Table().Title(aggregation.NameOf())
                .AddColumns("pairs", "interval", "covers", "worst head", "without 0", "width");
            foreach (int size in SampleSizes)
            {
                foreach (Coverage coverage in Measure(population, truth, size, samples, draws))
                {
                    table.AddRow([$"{size}", coverage.Kind, Percent(coverage.Mean), Percent(coverage.Worst), Percent(coverage.LeavesOutZero), coverage.Width.ToString("F2", CultureInfo.InvariantCulture)]);
                    measured.Add(new
                    {
                        aggregation = aggregation.NameOf(),
                        pairs = size,
                        interval = coverage.Kind,
                        mean = Math.Round(coverage.Mean, 4),
                        worst = Math.Round(coverage.Worst, 4),
                        leavesOutZero = Math.Round(coverage.LeavesOutZero, 4),
                        width = Math.Round(coverage.Width, 3),
                    });
                }
            }

            AnsiConsole.Write(table);
        }

        Console.WriteLine(JsonSerializer.Serialize(new { pairs, samples, draws, coverage = measured }));
        return 0;

        static string Percent(double share) => share.ToString("P1", CultureInfo.InvariantCulture);
    }

    /// <summary>Pairs of <c>ioi-generated</c> on the demo model: their unpatched metrics, and by head that of the patched run.</summary>
    public static (double Clean, double Corrupted, double[] Patched)[] Sweep(int count)
    {
        using Transformer model = ModelFolder.Load(DemoModelFolder.Built, ScalarType.Float32, CPU);
        TextTokenizer? tokenizer = TextTokenizer.Load(DemoModelFolder.Built);
        IReadOnlyList<PromptPair> made = BuiltInDatasets.Find("ioi-generated")!.Make(new DatasetInput(model.Config, tokenizer, count, Seed: 0, "ioi-generated"));
        IReadOnlyList<TokenPair> pairs = PairTokenizer.Tokenize(made, model.Config, tokenizer, pairIndices: null, PairTokenizer.PathUnder("pairs"), "");
        SweepRuns runs = InMemorySweep.Run(model, pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default);
        var patched = pairs.ToDictionary(pair => pair.Index, _ => new List<double>());
        foreach (LayerPatches layer in runs.Layers.OrderBy(layer => layer.Layer))
        {
            foreach (var (pair, metric) in layer.PairIndices.Zip(layer.PatchedMetric))
            {
                patched[pair].AddRange(metric[0]);
            }
        }

        return [.. pairs.Select(pair => (runs.Baselines[pair.Index].Clean, runs.Baselines[pair.Index].Corrupted, patched[pair.Index].ToArray()))];
    }

    private static IEnumerable<Coverage> Measure(Sample population, double[] truth, int size, int samples, int draws)
    {
        int heads = truth.Length;
        int[] strong = [.. Enumerable.Range(0, heads).Where(head => Math.Abs(truth[head]) > 0.1)];
        int[][] holding = [.. Kinds.Select(_ => new int[heads])], leavingOutZero = [.. Kinds.Select(_ => new int[heads])];
        double[][] widths = [.. Kinds.Select(_ => new double[heads])];
        Parallel.For(0, samples, index =>
        {
            Sample sample = population.Draw(size, draws, new Random(index));
            foreach (var (kind, (_, of)) in Kinds.Index())
            {
                foreach (var (head, (low, high)) in of(sample).Index())
                {
                    lock (widths)
                    {
                        holding[kind][head] += low <= truth[head] && truth[head] <= high ? 1 : 0;
                        leavingOutZero[kind][head] += low > 0 || high < 0 ? 1 : 0;
                        widths[kind][head] += high - low;
                    }
                }
            }
        });
        return Kinds.Select((kind, k) => new Coverage(
            kind.Name,
            holding[k].Average() / samples,
            holding[k].Min() / (double)samples,
            strong.Average(head => leavingOutZero[k][head]) / samples,
            Enumerable.Range(0, heads).Average(head => widths[k][head] / widths[1][head])));
    }

    private static (double Low, double High)[] Ours(Sample sample)
    {
        double[] effects = sample.Effects;
        return [.. effects.Select((effect, head) =>
        {
            ConfidenceInterval interval = ConfidenceInterval.Of(effect, sample.Deviations(effect, head))!.Value;
            return (interval.Low, interval.High);
        })];
    }

    private static (double Low, double High)[] StudentsT(Sample sample)
    {
        double t = StudentT.InvCDF(0, 1, sample.Pairs - 1, 0.975);
        return [.. sample.Effects.Zip(sample.StandardErrors, (effect, error) => (effect - (t * error), effect + (t * error)))];
    }

    /// <summary>The middle 95 % of the effects of samples drawn from the sample (Efron and Tibshirani 1993, chapter 13).</summary>
    private static (double Low, double High)[] PercentileBootstrap(Sample sample) =>
        [.. sample.Effects.Select((_, head) => Middle([.. sample.Resamples.Select(one => one.Effects[head])]))];

    /// <summary>The middle 95 % of their t, turned into effects by the sample's own standard error (the same, chapter 12).</summary>
    private static (double Low, double High)[] BootstrapT(Sample sample) => [.. sample.Effects.Select((effect, head) =>
    {
        var (low, high) = Middle([.. sample.Resamples.Select(one => (one.Effects[head] - effect) / Math.Max(one.Errors[head], 1e-12))]);
        return (effect - (high * sample.StandardErrors[head]), effect - (low * sample.StandardErrors[head]));
    })];

    private static (double Low, double High) Middle(double[] values)
    {
        Array.Sort(values);
        int k = (int)((values.Length + 1) * 0.025);
        return (values[k - 1], values[^k]);
    }

    /// <param name="Kind">The kind of interval.</param>
    /// <param name="Mean">The share of samples whose interval holds the true effect, the mean over heads.</param>
    /// <param name="Worst">That of the head with the smallest.</param>
    /// <param name="LeavesOutZero">The share whose interval leaves out 0, of heads whose true effect is beyond 0.1.</param>
    /// <param name="Width">As a multiple of the width of Student's t interval, the mean over heads.</param>
    private sealed record Coverage(string Kind, double Mean, double Worst, double LeavesOutZero, double Width);

    /// <summary>Pairs, each with every head's numerator and with the denominator that all heads share (1 for a mean of ratios).</summary>
    private sealed class Sample
    {
        private readonly double[][] _numerators;                              // [pair][head]
        private readonly double[] _denominators;                              // [pair]

        public Sample(double[][] numerators, double[] denominators, Random random, int draws)
        {
            (_numerators, _denominators) = (numerators, denominators);
            (Effects, StandardErrors) = Of([.. Enumerable.Repeat(1, Pairs)]);
            Resamples = new (double[], double[])[draws];
            for (int draw = 0; draw < draws; draw++)
            {
                int[] times = new int[Pairs];
                for (int i = 0; i < Pairs; i++)
                {
                    times[random.Next(Pairs)]++;
                }

                Resamples[draw] = Of(times);
            }
        }

        public int Pairs => _denominators.Length;

        public double[] Effects { get; }

        public double[] StandardErrors { get; }

        /// <summary>Effects and standard errors of as many pairs, drawn from these with replacement: the same draws for every kind of bootstrap.</summary>
        public (double[] Effects, double[] Errors)[] Resamples { get; }

        public Sample Draw(int size, int draws, Random random)
        {
            int[] drawn = [.. Enumerable.Range(0, size).Select(_ => random.Next(Pairs))];
            return new Sample([.. drawn.Select(pair => _numerators[pair])], [.. drawn.Select(pair => _denominators[pair])], random, draws);
        }

        public double[] Deviations(double effect, int head)
        {
            double mean = _denominators.Average();
            return [.. _numerators.Zip(_denominators, (numerator, denominator) => (numerator[head] - (effect * denominator)) / mean)];
        }

        /// <summary>The effects and their standard errors where each pair counts so many times.</summary>
        private (double[] Effects, double[] Errors) Of(int[] times)
        {
            double[] effects = new double[_numerators[0].Length], errors = new double[effects.Length];
            double denominator = 0;
            for (int pair = 0; pair < times.Length; pair++)
            {
                denominator += times[pair] * _denominators[pair];
                for (int head = 0; head < effects.Length && times[pair] > 0; head++)
                {
                    effects[head] += times[pair] * _numerators[pair][head];
                }
            }

            for (int head = 0; head < effects.Length; head++)
            {
                effects[head] /= denominator;
            }

            for (int pair = 0; pair < times.Length; pair++)
            {
                for (int head = 0; head < effects.Length && times[pair] > 0; head++)
                {
                    double deviation = _numerators[pair][head] - (effects[head] * _denominators[pair]);
                    errors[head] += times[pair] * deviation * deviation;
                }
            }

            double scale = Math.Abs(denominator / times.Length);
            for (int head = 0; head < effects.Length; head++)
            {
                errors[head] = Math.Sqrt(errors[head] / (times.Length - 1) / times.Length) / scale;
            }

            return (effects, errors);
        }
    }
}
