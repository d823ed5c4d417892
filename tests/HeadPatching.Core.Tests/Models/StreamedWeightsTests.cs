using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>A model whose layers are read when they are used gives every number of the one that is held, to the last digit, and reads each layer once a pass.</summary>
public class StreamedWeightsTests
{
    public static TheoryData<string, ScalarType> ModelsAndTypes { get; } =
    [
        .. from model in new[]
           {
               "gpt2-golden-a", "gpt2-golden-b", "gpt-neox-golden", "llama-golden", "gemma2-golden", "gemma3-golden", "olmo2-golden", "phi3-golden",
               "phi3-longrope-golden", "gptj-golden", "opt-golden", "opt350-golden", "granite-golden", "gpt_oss-golden",
           }
           from dtype in new[] { ScalarType.Float32, ScalarType.Float64, ScalarType.BFloat16 }
           where dtype == ScalarType.Float32 || model is "gpt2-golden-a" or "llama-golden"
           select new TheoryDataRow<string, ScalarType>(model, dtype),
    ];

    [Theory]
    [MemberData(nameof(ModelsAndTypes))]
    public void Every_sweep_gives_what_the_held_model_gives(string name, ScalarType dtype)
    {
        using var held = new GoldenModel(name, dtype);
        using var streamed = new GoldenModel(name, dtype, streamed: true);
        foreach (Patch patch in Enum.GetValues<Patch>().Where(patch => !(held.Model.Config.ParallelResidual && patch == Patch.ResidMid)))
        {
            Same(new PatchOptions { Patch = patch }, new LogitDifference());
        }

        Same(new PatchOptions { Positions = Positions.Each }, new LogitDifference());
        Same(new PatchOptions { Patch = Patch.Pattern, Positions = Positions.Each, Direction = Direction.Noise }, new KlDivergence());
        Same(new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.Zero }, new Rank());
        Same(new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.ValueBias }, new LogitDifference());
        Same(new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.Mean }, new LogProbability());
        Same(new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.Resample }, new LogitDifference());

        void Same(PatchOptions options, IMetric metric) => AssertSame(
            InMemorySweep.Run(held.Model, held.BothWays, options, metric, MemoryBudget.Default),
            InMemorySweep.Run(streamed.Model, held.BothWays, options, metric, MemoryBudget.Default));
    }

    private static void AssertSame(SweepRuns held, SweepRuns streamed)
    {
        Assert.Equal(held.Baselines, streamed.Baselines);
        Assert.Equal(held.Attribution?.Heads, streamed.Attribution?.Heads);
        Assert.Equal(held.Attribution?.Mlps, streamed.Attribution?.Mlps);
        Assert.Equal(held.Layers.Select(layer => layer.PatchedMetric), streamed.Layers.Select(layer => layer.PatchedMetric));
        Assert.Contains(held.Layers, layer => layer.PatchedRuns > 0);
    }
}
