using System.Text.Json;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Core.Tests.Patching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Metrics;

/// <summary>Every metric against a plain computation from all logits.</summary>
public class MetricsTests
{
    private static readonly TokenWeight[] Weights = [new(3, 1.5, null), new(7, -0.5, null), new(11, 2, " x")];

    public static TheoryData<Metric, string> MetricsAndModels { get; } =
    [
        .. from metric in Enum.GetValues<Metric>()
           from model in new[] { "gpt2-golden-a", "gpt2-golden-b" }
           select new TheoryDataRow<Metric, string>(metric, model),
    ];

    [Theory]
    [MemberData(nameof(MetricsAndModels))]
    public void Clean_and_corrupted_runs_have_what_their_logits_say(Metric metric, string name)
    {
        using var golden = new GoldenModel(name, ScalarType.Float64);
        TokenPair[] pairs = WithSeveralAnswers(golden);
        SweepResult result = ParityTests.Sweep(golden.Model, pairs, new PatchOptions(), MetricOf(metric));
        foreach (var (pair, ours) in pairs.Zip(result.Pairs))
        {
            double[] clean = LastLogits(golden.Model, pair.Clean), corrupted = LastLogits(golden.Model, pair.Corrupted);
            Assert.Equal(Plain(metric, pair, clean, clean), ours.CleanMetric, 1e-9);
            Assert.Equal(Plain(metric, pair, corrupted, clean), ours.CorruptedMetric, 1e-9);
        }
    }

    /// <summary>The reference logits of every patched run are from TransformerLens.</summary>
    [Theory]
    [MemberData(nameof(MetricsAndModels))]
    public void Patched_runs_have_what_TransformerLenss_logits_say(Metric metric, string name)
    {
        using var golden = new GoldenModel(name, ScalarType.Float64);
        TokenPair[] pairs = WithSeveralAnswers(golden);
        SweepResult result = ParityTests.Sweep(golden.Model, pairs, new PatchOptions(), MetricOf(metric));
        var differences = new Differences();
        for (int p = 0; p < golden.Pairs.Count; p++)
        {
            double[] clean = golden.OfPair(p, "clean_logits_last").Deserialize<double[]>()!;
            double[][][] patched = golden.OfPair(p, "z_all_pos_logits_last__layer_head_vocab").Deserialize<double[][][]>()!;
            foreach (var (pair, ours) in pairs.Zip(result.Pairs).Where(both => both.First.Clean == golden.Pairs[p].Clean))
            {
                for (int layer = 0; layer < patched.Length; layer++)
                {
                    for (int head = 0; head < patched[layer].Length; head++)
                    {
                        differences.Add(result.Metric, Plain(metric, pair, patched[layer][head], clean), ours.PatchedMetric![layer][head]);
                    }
                }
            }
        }

        differences.AssertWithin(1e-7);
    }

    /// <summary>Everything clean is put into the corrupted run, at each layer: the effect is 1. Nothing is: it is 0.</summary>
    [Theory]
    [InlineData(Metric.LogitDifference)]
    [InlineData(Metric.LogProbability)]
    [InlineData(Metric.Probability)]
    [InlineData(Metric.ProbabilityDifference)]
    [InlineData(Metric.Rank)]
    [InlineData(Metric.KlDivergence)]
    [InlineData(Metric.TokenWeights)]
    public void The_effect_of_the_whole_clean_residual_stream_is_1_and_of_the_corrupted_one_0(Metric metric)
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        IMetric own = MetricOf(metric);
        using var chunk = new CachedChunk(golden.Model, golden.Pairs, own);
        IReadOnlyList<Baseline> baselines = chunk.Baselines;
        Assert.Contains(baselines, baseline => Math.Abs(baseline.Clean - baseline.Corrupted) > Effect.DegenerateBelow);
        for (int layer = 0; layer < golden.Model.Config.Layers; layer++)
        {
            Assert.All(Effects(layer, Direction.Noise).Zip(baselines), one =>
                Assert.Equal(Math.Abs(one.Second.Clean - one.Second.Corrupted) < Effect.DegenerateBelow ? 0 : 1, one.First, 1e-6));
            Assert.All(Effects(layer, Direction.Denoise), effect => Assert.Equal(0, effect, 1e-6));
        }

        // Noising patches the clean run, denoising the corrupted one: what is run on is that one's stream.
        double[] Effects(int layer, Direction direction)
        {
            using var runs = new PatchedAndSource(golden.Model, chunk.Activations, direction);
            int start = chunk.Activations.Start;
            var suffix = new SuffixRun(golden.Model, golden.Pairs.Count, start, golden.Pairs[0].Length, later => runs.Patched(later).KeysValuesBefore(start));
            Tensor final = suffix.Run([new JoiningStreams(layer, StreamPoint.Pre, 1, from => runs.Patched(layer).ResidPre(from).unsqueeze(0))]);
            double[] values = [.. own.Measure(golden.Model, final, chunk.Measured).data<double>()];
            return [.. values.Zip(baselines).Select(one => Effect.Of(one.First, one.Second.Corrupted, one.Second.Clean))];
        }
    }

    [Fact]
    public void The_divergence_of_the_clean_run_from_itself_is_0_and_no_divergence_is_negative()
    {
        foreach (ScalarType dtype in new[] { ScalarType.Float64, ScalarType.Float32, ScalarType.BFloat16 })
        {
            using var golden = new GoldenModel("gpt2-golden-b", dtype);
            SweepResult result = ParityTests.Sweep(golden.Model, golden.Pairs, new PatchOptions(), new KlDivergence());
            Assert.All(result.Pairs, pair => Assert.InRange(pair.CleanMetric, 0, dtype == ScalarType.Float64 ? 1e-12 : 1e-6));
            Assert.All(result.Pairs, pair => Assert.True(pair.CorruptedMetric > 1e-3 && pair.PatchedMetric!.All(layer => layer.All(value => value >= 0))));
        }
    }

    [Theory]
    [InlineData(Metric.LogProbability)]
    [InlineData(Metric.Probability)]
    [InlineData(Metric.ProbabilityDifference)]
    [InlineData(Metric.KlDivergence)]
    public void Float32_and_bfloat16_are_near_the_exact_value(Metric metric)
    {
        using var exact = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        SweepResult expected = ParityTests.Sweep(exact.Model, exact.Pairs, new PatchOptions(), MetricOf(metric));
        double scale = expected.Pairs.Max(pair => Math.Max(Math.Abs(pair.CleanMetric), Math.Abs(pair.CorruptedMetric)));
        foreach (var (dtype, bound) in new[] { (ScalarType.Float32, 1e-3), (ScalarType.BFloat16, 0.1) })
        {
            using var rough = new GoldenModel("gpt2-golden-b", dtype);
            SweepResult actual = ParityTests.Sweep(rough.Model, rough.Pairs, new PatchOptions(), MetricOf(metric));
            foreach (var (left, right) in expected.Heads.Zip(actual.Heads))
            {
                // A patch may take a probability beyond both runs', and its error is in proportion: bfloat16's matrix products are rounded otherwise on every kind of processor.
                Assert.Equal(left.PatchedMetric, right.PatchedMetric, bound * Math.Max(scale, Math.Abs(left.PatchedMetric)));
            }
        }
    }

    /// <summary>More runs than one slice of logits holds give what each gives alone.</summary>
    [Theory]
    [InlineData(Metric.LogProbability)]
    [InlineData(Metric.Rank)]
    [InlineData(Metric.KlDivergence)]
    public void Many_runs_are_measured_in_slices(Metric metric)
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        IMetric own = MetricOf(metric);
        long width = golden.Model.Config.Width, runs = (40L << 20) / 8 / golden.Model.Config.Vocabulary;  // 40 MiB of logits
        Tensor few = randn([7, 1, width], dtype: ScalarType.Float64, generator: new Generator(1));
        var measured = new MeasuredPairs([golden.Pairs[0]], randn([1, width], dtype: ScalarType.Float64, generator: new Generator(2)));
        double[] expected = [.. own.Measure(golden.Model, few, measured).cpu().data<double>()];

        Tensor many = few.repeat([(runs / 7) + 1, 1, 1]);
        double[] actual = [.. own.Measure(golden.Model, many, measured).cpu().data<double>()];

        Assert.Equal(many.shape[0], actual.Length);
        Assert.All(actual.Index(), value => Assert.Equal(expected[value.Index % 7], value.Item, 1e-10));
    }

    [Fact]
    public void A_result_says_what_its_metric_is_and_how_effects_are_normalised()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        foreach (Metric metric in Enum.GetValues<Metric>())
        {
            SweepResult result = ParityTests.Sweep(golden.Model, golden.Pairs, new PatchOptions { Direction = Direction.Noise }, MetricOf(metric));
            Assert.Equal(JsonNamingPolicy.KebabCaseLower.ConvertName(metric.ToString()), result.Metric);
            Assert.Equal(metric is not (Metric.Rank or Metric.KlDivergence), result.MetricDetails!.HigherIsBetter);
            Assert.Equal("(patched - clean) / (corrupted - clean)", result.Normalisation);
        }
    }

    [Theory]
    [InlineData(Metric.LogitDifference, true, "does not prefer the correct answer")]
    [InlineData(Metric.Rank, true, "does not rank the correct answer first")]
    [InlineData(Metric.LogProbability, false, "")]
    [InlineData(Metric.Probability, false, "")]
    [InlineData(Metric.ProbabilityDifference, true, "does not prefer the correct answer")]
    [InlineData(Metric.KlDivergence, false, "")]
    public void A_clean_run_that_fails_the_task_is_told_where_the_metric_can_tell(Metric metric, bool told, string what)
    {
        // A random model does no task: on some pair the correct answer is neither preferred nor first.
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        TokenPair[] pairs = [.. golden.Pairs.Concat(golden.Pairs.Select(pair => pair with { Index = pair.Index + 10, Correct = pair.Incorrect, Incorrect = pair.Correct }))];
        SweepResult result = ParityTests.Sweep(golden.Model, pairs, new PatchOptions(), MetricOf(metric));
        Assert.Equal(told, result.Warnings.Any(warning => warning.Contains("there is little behaviour to restore", StringComparison.Ordinal)));
        Assert.True(!told || result.Warnings.Any(warning => warning.Contains(what, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(Metric.LogitDifference)]
    [InlineData(Metric.LogProbability)]
    [InlineData(Metric.Probability)]
    [InlineData(Metric.ProbabilityDifference)]
    [InlineData(Metric.Rank)]
    [InlineData(Metric.KlDivergence)]
    public void Runs_that_hardly_differ_are_told_whatever_the_metric(Metric metric)
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        TokenPair[] same = [.. golden.Pairs.Select(pair => pair with { Corrupted = pair.Clean })];
        Assert.Contains(Warnings(same), warning => warning.StartsWith("Badly conditioned", StringComparison.Ordinal));
        Assert.DoesNotContain(Warnings(golden.Pairs), warning => warning.StartsWith("Badly conditioned", StringComparison.Ordinal));

        IReadOnlyList<string> Warnings(IReadOnlyList<TokenPair> pairs) =>
            ParityTests.Sweep(golden.Model, pairs, new PatchOptions(), MetricOf(metric)).Warnings;
    }

    /// <summary>The golden pairs, and each once more with three right and two wrong answers.</summary>
    private static TokenPair[] WithSeveralAnswers(GoldenModel golden) =>
    [
        .. golden.Pairs,
        .. golden.Pairs.Select(pair => pair with
        {
            Index = pair.Index + 100,
            Correct = TokenAnswers.Of(pair.Correct.Ids[0], 3, 11),
            Incorrect = TokenAnswers.Of(pair.Incorrect.Ids[0], 5),
        }),
    ];

    internal static double[] LastLogits(Transformer model, IReadOnlyList<int> ids)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        return [.. model.Logits(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0))[0, -1].data<double>()];
    }

    private static IMetric MetricOf(Metric metric) => MetricFor.Metric(metric, metric == Metric.TokenWeights ? Weights : null);

    /// <summary>The metric's definition, word for word.</summary>
    private static double Plain(Metric metric, TokenPair pair, double[] logits, double[] clean)
    {
        double[] p = Softmax(logits), pClean = Softmax(clean);
        return metric switch
        {
            Metric.LogitDifference => pair.Correct.Ids.Average(id => logits[id]) - pair.Incorrect.Ids.Average(id => logits[id]),
            Metric.LogProbability => Math.Log(pair.Correct.Ids.Sum(id => p[id])),
            Metric.Probability => pair.Correct.Ids.Sum(id => p[id]),
            Metric.ProbabilityDifference => pair.Correct.Ids.Sum(id => p[id]) - pair.Incorrect.Ids.Sum(id => p[id]),
            Metric.Rank => pair.Correct.Ids.Min(id => logits.Count(other => other > logits[id])),
            Metric.KlDivergence => pClean.Zip(p).Sum(both => both.First * Math.Log(both.First / both.Second)),
            Metric.TokenWeights => Weights.Sum(one => one.Weight * logits[one.Id]),
            _ => throw new ArgumentOutOfRangeException(nameof(metric)),
        };
    }

    private static double[] Softmax(double[] logits)
    {
        double[] exponentials = [.. logits.Select(logit => Math.Exp(logit - logits.Max()))];
        double sum = exponentials.Sum();
        return [.. exponentials.Select(value => value / sum)];
    }
}
