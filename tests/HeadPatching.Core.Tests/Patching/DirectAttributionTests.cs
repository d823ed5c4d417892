using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

public class DirectAttributionTests
{
    public static TheoryData<string> Models { get; } = ["gpt2-golden-a", "gpt2-golden-b", "gpt-neox-golden", "llama-golden", .. FamilyParityTests.Models.Select(one => one.Data)];

    private static readonly IMetric[] Linear =
    [
        new LogitDifference(),
        new TokenWeights([new TokenWeight(3, 1.5, null), new TokenWeight(7, -0.5, null), new TokenWeight(11, 0.25, null)]),
    ];

    [Theory]
    [MemberData(nameof(Models))]
    public void All_parts_together_are_the_clean_metric(string name)
    {
        using var golden = new GoldenModel(name, ScalarType.Float64);
        foreach (IMetric metric in Linear)
        {
            foreach (TokenPair pair in golden.Pairs.Take(3))
            {
                TokenPair several = pair with { Correct = TokenAnswers.Of(3, 7, 11) };
                Assert.Equal(Uncapped(golden.Model, metric, several), Attributed(golden.Model, metric, several).Total(), 1e-9);
            }
        }
    }

    /// <summary>Where logits are not capped, that is the metric as the sweep measures it.</summary>
    [Theory]
    [InlineData("gpt2-golden-a")]
    [InlineData("llama-golden")]
    [InlineData("olmo2-golden")]
    [InlineData("opt350-golden")]
    [InlineData("gptj-golden")]
    [InlineData("granite-golden")]
    public void The_total_of_a_result_is_its_clean_metric(string name)
    {
        using var golden = new GoldenModel(name, ScalarType.Float64);
        SweepResult result = ResultOf(golden, new PatchOptions(), new LogitDifference());

        DirectLogitAttribution direct = result.DirectLogitAttribution!;
        Assert.Equal(result.CleanMetric!.Value, direct.Total!.Value, 1e-9);
        Assert.Equal(direct.Total.Value, direct.Heads!.Sum(layer => layer.Sum()) + direct.Mlps!.Sum() + direct.Embedding!.Value + direct.Biases!.Value, 1e-9);
        Assert.All(result.Heads, head => Assert.Equal(direct.Heads![head.Layer][head.Head!.Value], head.DirectLogitAttribution));
    }

    /// <summary>The formula by itself: z W_O, less its mean where the norm takes it, times the norm's scale and weight, times the answers' rows.</summary>
    [Theory]
    [InlineData("gpt2-golden-b")]
    [InlineData("gpt-neox-golden")]
    [InlineData("llama-golden")]
    public void A_head_adds_what_it_writes_through_the_final_norm_with_its_scale_fixed(string name)
    {
        using var golden = new GoldenModel(name, ScalarType.Float64);
        Transformer model = golden.Model;
        TokenPair pair = golden.Pairs[0];
        LogitAttribution direct = Attributed(model, new LogitDifference(), pair);
        using var chunk = new CachedChunk(model, [pair]);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor end = chunk.Measured.CleanFinal[0];                            // [d_model]
        bool centred = model.Config.Norm == NormKind.Layer;
        Tensor scale = ((centred ? end - end.mean([0]) : end).Squared().mean([0]).Plus(tensor(model.Config.NormEpsilon))).sqrt();
        Tensor rows = model.Weights.Unembedding[pair.Correct.Ids[0]] - model.Weights.Unembedding[pair.Incorrect.Ids[0]];
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            for (int head = 0; head < model.Config.Heads; head++)
            {
                Tensor z = chunk.Activations.Layers[layer].Clean.Z![0, head, -1]; // [d_head]
                Tensor written = z.matmul(model.Weights.Layers[layer].OutputWeight.narrow(0, head * model.Config.HeadWidth, model.Config.HeadWidth));
                Tensor normed = (centred ? written - written.mean([0]) : written) / scale * model.Weights.FinalNormWeight!;
                Assert.Equal((normed * rows).sum().item<double>(), direct.Heads[layer][head], 1e-9);
            }
        }
    }

    [Theory]
    [InlineData("gpt2-golden-a")]
    [InlineData("opt350-golden")]
    [InlineData("gemma2-golden")]
    public void In_float32_and_bfloat16_it_is_near(string name)
    {
        using var exact = new GoldenModel(name, ScalarType.Float64);
        foreach (var (dtype, bound) in new[] { (ScalarType.Float32, 1e-4), (ScalarType.BFloat16, 0.1) })
        {
            using var rough = new GoldenModel(name, dtype);
            double[] expected = Numbers(exact), actual = Numbers(rough);
            double size = expected.Max(Math.Abs);
            Assert.All(expected.Zip(actual), values => Assert.Equal(values.First, values.Second, bound * size));
        }

        static double[] Numbers(GoldenModel golden)
        {
            LogitAttribution direct = Attributed(golden.Model, new LogitDifference(), golden.Pairs[0]);
            return [.. direct.Heads.SelectMany(layer => layer), .. direct.Mlps, direct.Embedding];
        }
    }

    [Fact]
    public void A_metric_that_is_no_sum_of_logits_has_none_and_says_so()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        foreach (Metric metric in Enum.GetValues<Metric>().Except([Metric.LogitDifference, Metric.TokenWeights]))
        {
            SweepResult result = ResultOf(golden, new PatchOptions(), MetricFor.Metric(metric));
            Assert.Null(result.DirectLogitAttribution!.Heads);
            Assert.Contains("is not a weighted sum of logits", result.DirectLogitAttribution.Description, StringComparison.Ordinal);
            Assert.All(result.Heads, head => Assert.Null(head.DirectLogitAttribution));
        }
    }

    [Fact]
    public void Heads_have_theirs_where_heads_are_patched_and_key_value_heads_and_layers_none()
    {
        using var golden = new GoldenModel("llama-golden", ScalarType.Float64);
        Assert.NotEqual(golden.Model.Config.Heads, golden.Model.Config.KeyValueHeads);
        foreach (var (patch, own) in new[] { (Patch.Q, true), (Patch.Pattern, true), (Patch.K, false), (Patch.V, false), (Patch.AttnOut, false) })
        {
            SweepResult result = ResultOf(golden, new PatchOptions { Patch = patch }, new LogitDifference());
            Assert.All(result.Heads, head => Assert.Equal(own, head.DirectLogitAttribution is not null));
            Assert.Equal(golden.Model.Config.Heads, result.DirectLogitAttribution!.Heads![0].Length);
        }
    }

    private static LogitAttribution Attributed(Transformer model, IMetric metric, TokenPair pair)
    {
        using var chunk = new CachedChunk(model, [pair]);
        return Assert.Single(DirectAttribution.Of(model, metric, chunk.Measured, chunk.Activations));
    }

    private static SweepResult ResultOf(GoldenModel golden, PatchOptions options, IMetric metric)
    {
        ModelConfig config = golden.Model.Config;
        var description = new SweepDescription
        {
            SweepId = "golden",
            Model = new ModelSummary("golden", "", config.Layers, config.Heads, "float64", "cpu") { KeyValueHeads = config.KeyValueHeads == config.Heads ? null : config.KeyValueHeads },
            Dataset = "golden",
            Options = options,
            Metric = metric,
            StartedAt = default,
            FinishedAt = default,
            SoftwareVersion = "0",
        };
        return SweepAssembler.Assemble(description, golden.Pairs, InMemorySweep.Run(golden.Model, golden.Pairs, options, metric, MemoryBudget.Default), tokenText: null);
    }

    /// <summary>The weighted logits of the whole pass, before any soft cap.</summary>
    private static double Uncapped(Transformer model, IMetric metric, TokenPair pair)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor resid = model.Embed(tensor(pair.Clean.Select(id => (long)id).ToArray()).unsqueeze(0));
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            var (q, k, v) = model.QueryKeyValue(layer, resid);
            resid = model.ResidPost(layer, resid, model.Attend(layer, q, k, v));
        }

        double[] logits = [.. model.FinalNorm(resid)[0, -1].matmul(model.Weights.Unembedding.t()).data<double>()];
        double[] bias = model.Weights.UnembeddingBias is { } own ? [.. own.data<double>()] : new double[logits.Length];
        return metric.LogitWeights(pair).Sum(one => one.Weight * (logits[one.Token] + bias[one.Token]) / model.Config.LogitDivisor);
    }
}
