using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Core.Tests.Models;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>Estimates of the gradient in which the scale of every norm is held fixed.</summary>
public class FrozenNormsTests
{
    private const double Step = 1e-5;

    private static readonly IMetric[] Metrics = [.. Enum.GetValues<Metric>().Except([Metric.Rank, Metric.TokenWeights]).Select(metric => MetricFor.Metric(metric))];

    public static TheoryData<string, Direction> FamiliesAndDirections { get; } =
    [
        .. from family in new[] { "gpt2", "gpt_neox", "llama", "qwen3" }
           from direction in Enum.GetValues<Direction>()
           select new TheoryDataRow<string, Direction>(family, direction),
    ];

    /// <summary>
    /// Held to finite differences of a model in loops over doubles, in which every norm (those of queries and keys too) divides by what
    /// it divided by in the run that is patched, whatever has changed since.
    /// </summary>
    [Theory]
    [MemberData(nameof(FamiliesAndDirections))]
    public void Every_estimate_is_the_slope_of_a_run_whose_norms_are_frozen(string family, Direction direction)
    {
        using var folder = new TemporaryFolder();
        string path = family == "gpt2" ? GoldenModel.Folder("gpt2-golden-a") : folder.Path;
        if (family != "gpt2")
        {
            RandomModelFolder.Write(path, RandomModelFolder.Config(family), seed: 7);
        }

        using Transformer model = ModelFolder.Load(path, ScalarType.Float64, CPU);
        var pair = new TokenPair(0, [0, 17, 4, 59, 23, 4, 31, 8], [0, 17, 9, 59, 40, 4, 31, 8], 7, 21);
        var slow = new SlowFrozenRun(new PlainTransformer(path), pair, direction);
        var differences = new Differences();
        foreach (Patch patch in AttributionRun.Patches)
        {
            var options = new PatchOptions { Patch = patch, Direction = direction };
            SweepRuns[] runs = [.. Metrics.Select(metric => InMemorySweep.Estimate(model, [pair], options, metric, MemoryBudget.Default))];
            for (int layer = 0; layer < model.Config.Layers; layer++)
            {
                for (int head = 0; head < (patch is Patch.K or Patch.V ? model.Config.KeyValueHeads : model.Config.Heads); head++)
                {
                    double[] slopes = slow.Slopes(patch, layer, head);
                    for (int m = 0; m < Metrics.Length; m++)
                    {
                        double unpatched = direction == Direction.Denoise ? runs[m].Baselines[0].Corrupted : runs[m].Baselines[0].Clean;
                        differences.Add(
                            $"{Metrics[m].Name} {patch}", slopes[m], runs[m].Layers.Single(one => one.Layer == layer).PatchedMetric[0][0][head] - unpatched);
                    }
                }
            }
        }

        differences.AssertWithin(1e-7);
    }

    [Fact]
    public void Freezing_makes_a_difference_and_the_forward_pass_is_the_same()
    {
        foreach (string name in (string[])["gpt2-golden-b", "gpt-neox-golden", "llama-golden"])
        {
            using var golden = new GoldenModel(name, ScalarType.Float64);
            double[][] estimates =
            [
                .. Enum.GetValues<Gradient>().Select(gradient => InMemorySweep
                    .Estimate(golden.Model, golden.Pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default, gradient)
                    .Layers.SelectMany(layer => layer.PatchedMetric).SelectMany(pair => pair[0]).ToArray()),
            ];
            Assert.True(estimates[0].Zip(estimates[1], (a, b) => Math.Abs(a - b)).Max() > 0.01);
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            Tensor ids = tensor(golden.Pairs[0].Clean.Select(id => (long)id).ToArray()).unsqueeze(0);
            Assert.True(golden.Model.WithFrozenNorms().Logits(ids).allclose(golden.Model.Logits(ids), rtol: 1e-10, atol: 1e-10));
        }
    }

    [Fact]
    public void A_view_with_frozen_norms_frees_nothing_of_its_model()
    {
        using var golden = new GoldenModel("llama-golden", ScalarType.Float32);
        golden.Model.WithFrozenNorms().Dispose();
        using var scope = NewDisposeScope();
        Assert.True(golden.Model.Logits(tensor(new long[] { 1, 2, 3 }).unsqueeze(0)).isfinite().all().item<bool>());
    }

    [Theory]
    [InlineData("gpt2-golden-b")]
    [InlineData("llama-golden")]
    public void In_bfloat16_the_estimates_are_near(string name)
    {
        using var exact = new GoldenModel(name, ScalarType.Float64);
        using var rough = new GoldenModel(name, ScalarType.BFloat16);
        double[] expected = Estimates(exact), actual = Estimates(rough);
        double scale = expected.Max(Math.Abs);
        Assert.All(expected.Zip(actual), values => Assert.Equal(values.First, values.Second, 0.05 * scale));

        static double[] Estimates(GoldenModel golden) =>
        [
            .. InMemorySweep.Estimate(golden.Model, golden.Pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default)
                .Layers.SelectMany(layer => layer.PatchedMetric).SelectMany(pair => pair[0]),
        ];
    }

    /// <summary>One pair, one activation of one head moved a little way to the other run's, at all positions at once.</summary>
    private sealed class SlowFrozenRun
    {
        private readonly PlainTransformer _plain;
        private readonly TokenPair _pair;
        private readonly IReadOnlyList<int> _ids;
        private readonly PlainTransformer.NormScales _scales = new();
        private readonly PlainTransformer.Run _source;
        private readonly PlainTransformer.Run _base;
        private readonly double[] _cleanLogits;

        public SlowFrozenRun(PlainTransformer plain, TokenPair pair, Direction direction)
        {
            bool denoise = direction == Direction.Denoise;
            (_plain, _pair, _ids) = (plain, pair, denoise ? pair.Corrupted : pair.Clean);
            _source = plain.Forward(denoise ? pair.Clean : pair.Corrupted);
            _base = plain.Forward(_ids, frozen: _scales);
            _cleanLogits = denoise ? _source.LastLogits : _base.LastLogits;
        }

        /// <summary>The slope of each of <see cref="Metrics"/>, by central differences.</summary>
        public double[] Slopes(Patch patch, int layer, int head)
        {
            double[] further = Measured(Step), back = Measured(-Step);
            return [.. further.Zip(back, (a, b) => (a - b) / (2 * Step))];

            double[] Measured(double step) => Values(_plain.Forward(_ids, (at, l, x) => at == patch && l == layer ? Moved(x, step) : x, _scales).LastLogits);

            double[][][] Moved(double[][][] x, double step)
            {
                double[][] from = Of(_base)[head], to = Of(_source)[head];
                double[][] moved = [.. x[head].Select((row, i) => row.Select((value, j) => value + (step * (to[i][j] - from[i][j]))).ToArray())];
                return [.. x.Select((own, h) => h == head ? moved : own)];
            }

            double[][][] Of(PlainTransformer.Run run) => patch switch
            {
                Patch.Q => run.Q[layer],
                Patch.K => run.K[layer],
                Patch.V => run.V[layer],
                Patch.Pattern => run.Pattern[layer],
                _ => run.Z[layer],
            };
        }

        private double[] Values(double[] logits)
        {
            double[] logProbabilities = LogSoftmax(logits), clean = LogSoftmax(_cleanLogits);
            int correct = _pair.Correct.Ids[0], incorrect = _pair.Incorrect.Ids[0];
            return
            [
                .. Metrics.Select(metric => metric switch
                {
                    LogitDifference => logits[correct] - logits[incorrect],
                    LogProbability => logProbabilities[correct],
                    Probability => Math.Exp(logProbabilities[correct]),
                    ProbabilityDifference => Math.Exp(logProbabilities[correct]) - Math.Exp(logProbabilities[incorrect]),
                    KlDivergence => clean.Zip(logProbabilities, (p, q) => Math.Exp(p) * (p - q)).Sum(),
                    _ => throw new NotSupportedException(metric.Name),
                }),
            ];
        }

        private static double[] LogSoftmax(double[] logits)
        {
            double max = logits.Max(), sum = Math.Log(logits.Sum(logit => Math.Exp(logit - max))) + max;
            return [.. logits.Select(logit => logit - sum)];
        }
    }
}
