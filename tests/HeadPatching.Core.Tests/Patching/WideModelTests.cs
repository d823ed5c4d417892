using System.Text.Json.Nodes;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>
/// Models as wide as real ones are: their products may be made in another way than a small model's, and by several threads. float32 is then as
/// near to float64 as ever, whatever computes.
/// </summary>
public sealed class WideModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly int _threadsBefore = get_num_threads();

    [Theory]
    [InlineData("gpt2", 1)]
    [InlineData("gpt2", 3)]
    [InlineData("llama", 1)]
    [InlineData("llama", 3)]
    [InlineData("gpt_neox", 3)]
    public void A_sweep_and_its_estimates_are_those_of_float64(string family, int threads)
    {
        Write(family);
        TokenPair[] pairs = Pairs();
        set_num_threads(threads);
        double[][] exact = Numbers(ScalarType.Float64, pairs), single = Numbers(ScalarType.Float32, pairs);

        foreach (var (expected, actual) in exact.Zip(single))
        {
            double scale = expected.Max(Math.Abs); // random weights of this size make of rounding up to 1e-4 of it
            Assert.All(expected.Zip(actual), one => Assert.InRange(Math.Abs(one.First - one.Second), 0, 2e-4 * scale));
        }
    }

    [Fact]
    public void A_sweep_is_cancelled_between_the_pieces_that_several_threads_compute()
    {
        Write("gpt2");
        using Transformer model = ModelFolder.Load(_folder["gpt2"], ScalarType.Float32, CPU);
        set_num_threads(3);
        using var cancellation = new CancellationTokenSource();
        long made = 0;

        Assert.ThrowsAny<OperationCanceledException>(() => InMemorySweep.Run(
            model,
            Pairs(),
            new PatchOptions { Positions = Positions.Each },
            new LogitDifference(),
            MemoryBudget.Default,
            runs =>
            {
                made += runs;
                cancellation.Cancel();
            },
            cancellation.Token));
        Assert.InRange(made, 1, 2 * 4 * 4 * 18);
    }

    public void Dispose()
    {
        set_num_threads(_threadsBefore);
        _folder.Dispose();
    }

    private void Write(string family)
    {
        if (family == "gpt2")
        {
            RandomModelFolder.Write(_folder[family], layers: 2, heads: 4, width: 256, vocabulary: 60, context: 40, seed: 1);
            return;
        }

        JsonObject config = RandomModelFolder.Config(family);
        config["hidden_size"] = 256;
        config["intermediate_size"] = 384;
        RandomModelFolder.Write(_folder[family], config, seed: 1);
    }

    // The patched metrics of every head, then their estimates.
    private double[][] Numbers(ScalarType dtype, TokenPair[] pairs)
    {
        using Transformer model = ModelFolder.Load(Directory.GetDirectories(_folder.Path).Single(), dtype, CPU);
        return
        [
            Flat(InMemorySweep.Run(model, pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default)),
            Flat(InMemorySweep.Estimate(model, pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default)),
        ];
    }

    private static double[] Flat(SweepRuns runs) => [.. runs.Layers.SelectMany(layer => layer.PatchedMetric.SelectMany(pair => pair.SelectMany(row => row)))];

    private static TokenPair[] Pairs()
    {
        var random = new Random(0);
        return [.. Enumerable.Range(0, 4).Select(index =>
        {
            int[] clean = [.. Enumerable.Range(0, 20).Select(_ => random.Next(1, 60))], corrupted = [.. clean];
            corrupted[2] = (clean[2] % 59) + 1;
            return new TokenPair(index, clean, corrupted, TokenAnswers.Of([5]), TokenAnswers.Of([6]));
        })];
    }
}
