using System.Text.Json;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>Our numbers equal the original Python code's and TransformerLens's, on every value that they gave.</summary>
public class ParityTests
{
    public static TheoryData<string, ScalarType> ModelsAndTypes { get; } = new()
    {
        { "gpt2-golden-a", ScalarType.Float64 },
        { "gpt2-golden-b", ScalarType.Float64 },
        { "gpt2-golden-a", ScalarType.Float32 },
        { "gpt2-golden-b", ScalarType.Float32 },
    };

    [Theory]
    [MemberData(nameof(ModelsAndTypes))]
    public void Every_head_has_the_effect_that_the_original_gives_it(string name, ScalarType dtype)
    {
        using var golden = new GoldenModel(name, dtype);
        CompareHeads(golden).AssertWithin(Bound(dtype));
    }

    [Theory]
    [MemberData(nameof(ModelsAndTypes))]
    public void Every_pair_has_the_metrics_that_TransformerLens_gives_it(string name, ScalarType dtype)
    {
        using var golden = new GoldenModel(name, dtype);
        ComparePairs(golden).AssertWithin(Bound(dtype));
    }

    [Theory]
    [MemberData(nameof(ModelsAndTypes))]
    public void Every_logit_of_every_run_is_the_one_that_TransformerLens_gives(string name, ScalarType dtype)
    {
        using var golden = new GoldenModel(name, dtype);
        CompareLogits(golden).AssertWithin(Bound(dtype));
    }

    /// <summary>Keys and values of the grouped-query model have a result for each key/value head.</summary>
    [Theory]
    [InlineData("gpt-neox-golden", ScalarType.Float64)]
    [InlineData("llama-golden", ScalarType.Float64)]
    [InlineData("gpt-neox-golden", ScalarType.Float32)]
    [InlineData("llama-golden", ScalarType.Float32)]
    public void Every_family_has_the_metrics_that_TransformerLens_gives_it(string name, ScalarType dtype)
    {
        using var golden = new GoldenModel(name, dtype);
        CompareFamily(golden).AssertWithin(Bound(dtype));
    }

    /// <summary>The bound is that of float32 on a CPU.</summary>
    [Theory]
    [InlineData("gpt2-golden-a")]
    [InlineData("gpt2-golden-b")]
    public void On_a_GPU_every_value_is_the_same_in_float32(string name)
    {
        if (!cuda.is_available())
        {
            Assert.Skip("no CUDA device that this build's libtorch can use");
        }

        using var golden = new GoldenModel(name, ScalarType.Float32, CUDA);
        Assert.True(golden.Model.FreeDeviceMemory > 0);
        Assert.False(backends.cuda.matmul.allow_tf32 || backends.cudnn.allow_tf32);
        CompareHeads(golden).AssertWithin(Bound(ScalarType.Float32));
        ComparePairs(golden).AssertWithin(Bound(ScalarType.Float32));
        CompareLogits(golden).AssertWithin(Bound(ScalarType.Float32));
    }

    [Theory]
    [InlineData("gpt-neox-golden")]
    [InlineData("llama-golden")]
    public void On_a_GPU_every_family_is_the_same_in_float32(string name)
    {
        if (!cuda.is_available())
        {
            Assert.Skip("no CUDA device that this build's libtorch can use");
        }

        using var golden = new GoldenModel(name, ScalarType.Float32, CUDA);
        CompareFamily(golden).AssertWithin(Bound(ScalarType.Float32));
    }

    internal static SweepResult Sweep(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        PatchOptions options,
        IMetric? metric = null,
        MemoryBudget? budget = null,
        Aggregation aggregation = Aggregation.MeanOfRatios,
        int seed = 0)
    {
        metric ??= new LogitDifference();
        return Assemble(model, pairs, options, InMemorySweep.Run(model, pairs, options, metric, budget ?? MemoryBudget.Default), aggregation, metric, seed);
    }

    internal static SweepResult Assemble(
        Transformer model, IReadOnlyList<TokenPair> pairs, PatchOptions options, SweepRuns runs, Aggregation aggregation = Aggregation.MeanOfRatios, IMetric? metric = null, int seed = 0)
    {
        var description = new SweepDescription
        {
            SweepId = "test",
            Model = new ModelSummary("golden", "", model.Config.Layers, model.Config.Heads, model.Dtype.Name(), model.Device.type.ToString().ToLowerInvariant()),
            Dataset = "golden",
            Options = options,
            Metric = metric ?? new LogitDifference(),
            Aggregation = aggregation,
            Seed = seed,
            StartedAt = default,
            FinishedAt = default,
            SoftwareVersion = "",
        };
        return SweepAssembler.Assemble(description, pairs, runs, tokenText: null);
    }

    private static Differences CompareHeads(GoldenModel golden)
    {
        var differences = new Differences();
        Compare("output_all_positions", new PatchOptions(), golden.Pairs);
        Compare("output_last_position", new PatchOptions { Positions = Positions.One(-1) }, golden.Pairs);
        Compare("output_position_3", new PatchOptions { Positions = Positions.One(3) }, golden.Pairs);
        Compare("pattern", new PatchOptions { Patch = Patch.Pattern }, golden.Pairs);
        Compare("pairs_0_2", new PatchOptions(), [golden.Pairs[0], golden.Pairs[2]]);
        return differences;

        void Compare(string table, PatchOptions options, IReadOnlyList<TokenPair> pairs)
        {
            SweepResult result = Sweep(golden.Model, pairs, options);
            JsonElement[] expected = [.. golden.Values.GetProperty("run_all_heads").GetProperty(table).EnumerateArray()];
            Assert.Equal(expected.Length, result.Heads.Count);
            foreach (JsonElement head in expected)
            {
                HeadResult ours = result.Heads.Single(ours => ours.Layer == head.GetProperty("layer").GetInt32() && ours.Head == head.GetProperty("head").GetInt32());
                differences.Add($"{table}.patching_effect", head.GetProperty("patching_effect").GetDouble(), ours.PatchingEffect);
                differences.Add($"{table}.clean_metric", head.GetProperty("clean_metric").GetDouble(), ours.CleanMetric);
                differences.Add($"{table}.corrupted_metric", head.GetProperty("corrupted_metric").GetDouble(), ours.CorruptedMetric);
                differences.Add($"{table}.patched_metric", head.GetProperty("patched_metric").GetDouble(), ours.PatchedMetric);
            }
        }
    }

    private static Differences CompareFamily(GoldenModel golden)
    {
        var differences = new Differences();
        ComparePairs(golden, differences, "z_all_pos", new PatchOptions { Patch = Patch.Z });
        ComparePairs(golden, differences, "q_all_pos", new PatchOptions { Patch = Patch.Q });
        ComparePairs(golden, differences, "k_all_pos", new PatchOptions { Patch = Patch.K });
        ComparePairs(golden, differences, "v_all_pos", new PatchOptions { Patch = Patch.V });
        ComparePairs(golden, differences, "pattern_all_pos", new PatchOptions { Patch = Patch.Pattern });
        ComparePairs(golden, differences, "z_last_pos", new PatchOptions { Patch = Patch.Z, Positions = Positions.One(-1) });
        ComparePairs(golden, differences, "z_all_pos_noising", new PatchOptions { Patch = Patch.Z, Direction = Direction.Noise });
        return differences;
    }

    /// <summary>Of the tables that every family's values have.</summary>
    internal static Differences ComparePairs(GoldenModel golden, bool roundedToFloat32 = true)
    {
        var differences = new Differences();
        Compare("z_all_pos", new PatchOptions { Patch = Patch.Z });
        Compare("q_all_pos", new PatchOptions { Patch = Patch.Q });
        Compare("k_all_pos", new PatchOptions { Patch = Patch.K });
        Compare("v_all_pos", new PatchOptions { Patch = Patch.V });
        Compare("pattern_all_pos", new PatchOptions { Patch = Patch.Pattern });
        Compare("z_all_pos_noising", new PatchOptions { Patch = Patch.Z, Direction = Direction.Noise });
        Compare("z_by_pos__layer_pos_head", new PatchOptions { Patch = Patch.Z, Positions = Positions.Each });
        Compare("v_by_pos__layer_pos_head", new PatchOptions { Patch = Patch.V, Positions = Positions.Each });
        Compare("attn_out_by_pos__layer_pos", new PatchOptions { Patch = Patch.AttnOut, Positions = Positions.Each });
        Compare("mlp_out_by_pos__layer_pos", new PatchOptions { Patch = Patch.MlpOut, Positions = Positions.Each });
        Compare("resid_pre_by_pos__layer_pos", new PatchOptions { Patch = Patch.ResidPre, Positions = Positions.Each });
        Compare("zero_ablation_of_clean", new PatchOptions { Ablation = Ablation.Zero, Direction = Direction.Noise });
        return differences;

        void Compare(string table, PatchOptions options) => ComparePairs(golden, differences, table, options, roundedToFloat32);
    }

    internal static void ComparePairs(GoldenModel golden, Differences differences, string table, PatchOptions options, bool roundedToFloat32 = true)
    {
        SweepResult result = Sweep(golden.Model, golden.Pairs, options);
        foreach (PairResult pair in result.Pairs)
        {
            differences.Add("clean_metric", golden.OfPair(pair.Index, "clean_metric").GetDouble(), pair.CleanMetric);
            differences.Add("corrupted_metric", golden.OfPair(pair.Index, "corrupted_metric").GetDouble(), pair.CorruptedMetric);
            JsonElement expected = golden.OfPair(pair.Index, table);
            if (!options.Positions.IsEach)
            {
                Assert.Equal(pair.PatchedMetric!.Select(layer => layer.Length), expected.EnumerateArray().Select(layer => layer.GetArrayLength())); // never padded
            }

            differences.Add(
                table,
                expected,
                at => options.Positions.IsEach ? pair.PatchedMetricByPosition![at[0]][at[1]][at.Length == 3 ? at[2] : 0] : pair.PatchedMetric![at[0]][at[1]],
                roundedToFloat32);
        }
    }

    private static Differences CompareLogits(GoldenModel golden)
    {
        var differences = new Differences();
        for (int p = 0; p < golden.Pairs.Count; p++)
        {
            TokenPair pair = golden.Pairs[p];
            Compare("clean_logits_last", pair.Clean);
            Compare("corrupted_logits_last", pair.Corrupted);

            // The logits of a patched run one by one: the same pair once for every token, measured by that token's logit.
            TokenPair[] everyToken = [.. Enumerable.Range(0, golden.Model.Config.Vocabulary).Select(token => pair with { Index = token, Correct = token })];
            SweepResult patched = Sweep(golden.Model, everyToken, new PatchOptions(), new CorrectLogit());
            differences.Add("z_all_pos_logits_last", golden.OfPair(p, "z_all_pos_logits_last__layer_head_vocab"), at => patched.Pairs[at[2]].PatchedMetric![at[0]][at[1]]);

            void Compare(string table, IReadOnlyList<int> ids)
            {
                using var mode = inference_mode();
                using var scope = NewDisposeScope();
                Tensor logits = golden.Model.Logits(tensor(ids.Select(id => (long)id).ToArray(), device: golden.Model.Device).unsqueeze(0));
                double[] last = [.. logits[0, -1].to(ScalarType.Float64).cpu().data<double>()];
                differences.Add(table, golden.OfPair(p, table), at => last[at[0]]);
            }
        }

        return differences;
    }

    internal static double? Bound(ScalarType dtype) => dtype == ScalarType.Float64 ? 1e-7 : null;

    private sealed class CorrectLogit : IMetric
    {
        public string Name => "correct-logit";

        public MetricDetails Details { get; } = new("the logit of the correct answer", HigherIsBetter: true, Unit: "logits");

        public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured)
        {
            Tensor rows = model.Weights.Unembedding.index_select(0, tensor(measured.Pairs.Select(pair => (long)pair.Correct.Ids[0]).ToArray(), device: model.Device));
            return (model.FinalNorm(resid) * rows).sum(-1);
        }
    }
}
