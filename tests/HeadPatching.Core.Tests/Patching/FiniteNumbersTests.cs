using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>A run that overflows is refused, with the place where it began; it is never an effect, and no JSON writer chokes on it.</summary>
public class FiniteNumbersTests
{
    [Theory]
    [InlineData(ScalarType.Float32, "float32")]
    [InlineData(ScalarType.BFloat16, "bfloat16")]
    public void A_baseline_that_overflows_names_the_layer_and_every_pair_of_its_chunk(ScalarType dtype, string name)
    {
        using var golden = new GoldenModel("gpt2-golden-b", dtype);
        MakeLarge(golden.Model);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        foreach (Action run in (Action[])[() => Exact(golden), () => Estimate(golden)])
        {
            IReadOnlyList<Fault> faults = Assert.Throws<InvalidInputException>(run).Faults;
            Assert.Equal(FirstChunk(golden).Select(pair => (FaultKinds.NotFinite, $"pair {pair.Index}")), faults.Select(fault => (fault.Kind, fault.Where)));
            Assert.All(faults, fault => Assert.StartsWith($"The clean run's numbers grow beyond what {name} can hold in layer 1,", fault.Message, StringComparison.Ordinal));
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void What_overflows_in_float32_and_not_in_float64_is_swept_in_float64()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        MakeLarge(golden.Model);
        Assert.All(Exact(golden).Baselines.Values, baseline => Assert.True(double.IsFinite(baseline.Clean) && double.IsFinite(baseline.Corrupted)));
    }

    [Fact]
    public void A_patch_that_overflows_names_layer_patch_position_and_pair()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float32);
        IReadOnlyList<Fault> faults = Assert.Throws<InvalidInputException>(
            () => InMemorySweep.Run(golden.Model, golden.Pairs, new PatchOptions(), new OverflowingMetric(), MemoryBudget.Default)).Faults;
        Fault fault = Assert.Single(faults);
        Assert.Equal((FaultKinds.NotFinite, $"pair {FirstChunk(golden)[1].Index}"), (fault.Kind, fault.Where));
        Assert.StartsWith("With patch 2 of layer 0 the run's numbers grow beyond what its type can hold.", fault.Message, StringComparison.Ordinal);

        Fault byPosition = Assert.Single(Assert.Throws<InvalidInputException>(
            () => new LayerPatches(3, [7, 9], [[[0, 1], [2, 3]], [[0, 1], [double.PositiveInfinity, 3]]], PatchedRuns: 8, Seconds: 0)).Faults);
        Assert.Equal("pair 9", byPosition.Where);
        Assert.StartsWith("With patch 0 of layer 3 at position 1 the run's", byPosition.Message, StringComparison.Ordinal);
    }

    private static IReadOnlyList<TokenPair> FirstChunk(GoldenModel golden) =>
        Chunks.Split(golden.Pairs, golden.Model.Config, golden.Model.Dtype, MemoryBudget.Default)[0];

    /// <summary>Two biases of layer 1 that a float32 can each hold, and not their sum.</summary>
    private static void MakeLarge(Transformer model)
    {
        using var mode = no_grad();
        using var scope = NewDisposeScope();
        model.Weights.Layers[1].OutputBias!.AddInPlace(tensor(3e38).to(model.StreamDtype));
        model.Weights.Layers[1].MlpOutBias!.AddInPlace(tensor(3e38).to(model.StreamDtype));
    }

    private static SweepRuns Exact(GoldenModel golden) =>
        InMemorySweep.Run(golden.Model, golden.Pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default);

    private static SweepRuns Estimate(GoldenModel golden) =>
        InMemorySweep.Estimate(golden.Model, golden.Pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default);

    /// <summary>The logit difference, but of the third patch on the second pair.</summary>
    private sealed class OverflowingMetric : IMetric
    {
        private readonly LogitDifference _metric = new();

        public string Name => _metric.Name;

        public MetricDetails Details => _metric.Details;

        public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured)
        {
            Tensor values = _metric.Measure(model, resid, measured).clone();
            if (values.shape[0] > 2 && values.shape[1] > 1)
            {
                values[2, 1] = tensor(float.PositiveInfinity);
            }

            return values;
        }
    }
}
