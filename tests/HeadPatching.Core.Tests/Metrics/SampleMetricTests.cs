using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Core.Tests.Patching;
using HeadPatching.Samples;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Metrics;

/// <summary>The metric of samples/OwnMetric, which a user copies, measures what it says.</summary>
public class SampleMetricTests
{
    [Fact]
    public void The_margin_is_that_of_the_models_own_logits()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        SweepResult result = ParityTests.Sweep(golden.Model, golden.Pairs, new PatchOptions(), new Margin());
        Assert.All(golden.Pairs.Zip(result.Pairs), one => Assert.Equal(Plain(golden, one.First), one.Second.CleanMetric, 1e-5));
    }

    private static double Plain(GoldenModel golden, TokenPair pair)
    {
        double[] logits = MetricsTests.LastLogits(golden.Model, pair.Clean);
        int correct = pair.Correct.Ids[0];
        return logits[correct] - logits.Where((_, id) => id != correct).Max();
    }
}
