using System.Text.Json;
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

/// <summary>Our numbers equal those of Hugging Face's own modeling code, in float64, on every value that it gave for a family.</summary>
public class FamilyParityTests
{
    public static TheoryData<string> Models { get; } =
    [
        "gemma2-golden", "gemma3-golden", "olmo2-golden", "phi3-golden", "phi3-longrope-golden", "gptj-golden", "opt-golden", "opt350-golden",
        "granite-golden", "gpt_oss-golden",
    ];

    public static TheoryData<string, ScalarType> ModelsAndTypes { get; } =
    [
        .. from model in Models
           from dtype in new[] { ScalarType.Float64, ScalarType.Float32 }
           select new TheoryDataRow<string, ScalarType>(model.Data, dtype),
    ];

    [Theory]
    [MemberData(nameof(ModelsAndTypes))]
    public void Every_pair_has_the_metrics_of_the_modeling_code(string name, ScalarType dtype)
    {
        using var golden = new GoldenModel(name, dtype);
        Differences differences = ParityTests.ComparePairs(golden, roundedToFloat32: false);
        ParityTests.ComparePairs(golden, differences, "z_last_pos", new PatchOptions { Positions = Positions.One(-1) }, roundedToFloat32: false);
        differences.AssertWithin(ParityTests.Bound(dtype));
    }

    [Theory]
    [MemberData(nameof(ModelsAndTypes))]
    public void Every_logit_and_every_estimate_is_that_of_the_modeling_code(string name, ScalarType dtype)
    {
        using var golden = new GoldenModel(name, dtype);
        var differences = new Differences();
        foreach (TokenPair pair in golden.Pairs)
        {
            Compare("clean_logits_last", pair.Clean);
            Compare("corrupted_logits_last", pair.Corrupted);

            void Compare(string table, IReadOnlyList<int> ids)
            {
                double[] last = LastLogits(golden.Model, ids);
                differences.Add(table, golden.OfPair(pair.Index, table), at => last[at[0]]);
            }
        }

        SweepRuns runs = InMemorySweep.Estimate(golden.Model, golden.Pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default, Gradient.Plain);
        foreach (LayerPatches patches in runs.Layers)
        {
            foreach (var (pair, metric) in patches.PairIndices.Zip(patches.PatchedMetric))
            {
                JsonElement changes = golden.OfPair(pair, "attribution_z")[patches.Layer];
                differences.Add("attribution_z", changes, at => metric[0][at[0]] - runs.Baselines[pair].Corrupted);
            }
        }

        differences.AssertWithin(ParityTests.Bound(dtype));
    }

    /// <summary>config.v5.json has the field names that transformers 5 writes: other names, the same model.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void Either_form_of_config_json_is_the_same_model(string name)
    {
        string newer = Path.Combine(GoldenModel.Folder(name), "config.v5.json");
        using var folder = new TemporaryFolder();
        File.Copy(File.Exists(newer) ? newer : Path.Combine(GoldenModel.Folder(name), "config.json"), Path.Combine(folder.Path, "config.json"));
        Assert.Equivalent(ModelConfigReader.Read(GoldenModel.Folder(name)), ModelConfigReader.Read(folder.Path), strict: true);
    }

    /// <summary>Of several answers the mean of their logits counts, also where these are capped, biased or divided; and in either path to them.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void The_logit_difference_of_several_answers_is_the_mean_of_their_logits(string name)
    {
        using var golden = new GoldenModel(name, ScalarType.Float64);
        TokenPair pair = golden.Pairs[0] with { Correct = TokenAnswers.Of(3, 7, 11), Incorrect = TokenAnswers.Of(5, 9) };
        double[] clean = LastLogits(golden.Model, pair.Clean);
        double expected = ((clean[3] + clean[7] + clean[11]) / 3) - ((clean[5] + clean[9]) / 2);
        using var chunk = new CachedChunk(golden.Model, [pair]);
        Assert.Equal(expected, chunk.Baselines[0].Clean, 1e-10);
    }

    /// <summary>
    /// Prompts that first differ at a position that the last one does not see, nor most of those between: what is patched there passes through
    /// windows, and is held against whole runs of a model in loops over doubles.
    /// </summary>
    [Theory]
    [InlineData("mistral", """{"sliding_window": 4}""")]
    [InlineData("qwen2", """{"use_sliding_window": true, "sliding_window": 3, "max_window_layers": 1}""")]
    [InlineData("qwen3", """{"use_sliding_window": true, "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}""")]
    public void A_difference_outside_a_later_positions_window_is_patched_as_in_whole_runs(string family, string changes)
    {
        using var folder = new TemporaryFolder();
        FamilyForwardTests.Write(folder, family, changes);
        using Transformer model = ModelFolder.Load(folder.Path, ScalarType.Float64, CPU);
        Assert.NotNull(model.Config.SlidingWindow);
        int[] clean = [0, 17, 4, 59, 23, 4, 31, 8, 17, 42, 11, 2];
        var pair = new TokenPair(0, clean, [.. clean.Select((id, at) => at == 2 ? 33 : id)], 7, 21);
        var plain = new PlainTransformer(folder.Path);
        PlainTransformer.Run source = plain.Forward(pair.Clean);
        double changed = 0;
        foreach (Patch patch in new[] { Patch.Z, Patch.Q, Patch.K, Patch.V, Patch.Pattern })
        {
            List<double[][][]> put = patch switch { Patch.Z => source.Z, Patch.Q => source.Q, Patch.K => source.K, Patch.V => source.V, _ => source.Pattern };
            foreach (Positions positions in new[] { Positions.All, Positions.One(2), Positions.One(4) })
            {
                SweepRuns runs = InMemorySweep.Run(model, [pair], new PatchOptions { Patch = patch, Positions = positions }, new LogitDifference(), MemoryBudget.Default);
                int? only = positions.In(pair)[0];
                foreach (LayerPatches patches in runs.Layers)
                {
                    for (int head = 0; head < patches.PatchedMetric[0][0].Length; head++)
                    {
                        double[] logits = plain.Forward(pair.Corrupted, (at, layer, x) => at != patch || layer != patches.Layer ? x :
                            [.. x.Select((own, h) => h != head ? own : own.Select((row, position) => only is null || only == position ? put[layer][h][position] : row).ToArray())]).LastLogits;
                        Assert.Equal(logits[7] - logits[21], patches.PatchedMetric[0][0][head], 1e-9);
                        changed = Math.Max(changed, Math.Abs(logits[7] - logits[21] - runs.Baselines[0].Corrupted));
                    }
                }
            }
        }

        Assert.True(changed > 1e-3);
    }

    private static double[] LastLogits(Transformer model, IReadOnlyList<int> ids)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor logits = model.Logits(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0));
        return [.. logits[0, -1].to(ScalarType.Float64).data<double>()];
    }
}
