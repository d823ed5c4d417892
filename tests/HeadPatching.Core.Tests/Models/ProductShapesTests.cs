using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>
/// libtorch has more than one library for products, and which is taken goes by shape and processor: one of them was wrong by whole numbers for a third of all shapes on a processor with
/// AVX-512, and ended the process with others. Whatever is taken, a sweep in float32 is that in float64.
/// </summary>
public class ProductShapesTests
{
    [Theory]
    [InlineData(256, 4, 4)]
    [InlineData(304, 4, 16)]
    [InlineData(224, 7, 30)]
    [InlineData(272, 8, 9)]
    [InlineData(512, 8, 5)]
    [InlineData(100, 4, 40)]
    public void A_sweep_in_float32_is_that_in_float64_whatever_the_width(int width, int heads, int pairs)
    {
        using var folder = new TemporaryFolder();
        RandomModelFolder.Write(folder.Path, layers: 3, heads: heads, width: width, vocabulary: 300, context: 32, seed: width);
        var random = new Random(width);
        TokenPair[] prompts = [.. Enumerable.Range(0, pairs).Select(pair =>
        {
            int[] clean = [.. Enumerable.Range(0, 12).Select(_ => random.Next(300))], corrupted = [.. clean];
            corrupted[3] = (clean[3] + 1) % 300;
            return new TokenPair(pair, clean, corrupted, TokenAnswers.Of(1), TokenAnswers.Of(2));
        })];
        double[][] exact = Run(ScalarType.Float64), single = Run(ScalarType.Float32);
        double scale = exact.SelectMany(layer => layer).Max(Math.Abs);
        Assert.All(exact.Zip(single), layer => Assert.All(layer.First.Zip(layer.Second), run => Assert.InRange(Math.Abs(run.First - run.Second), 0, 1e-4 * scale)));

        double[][] Run(ScalarType dtype)
        {
            using Transformer model = ModelFolder.Load(folder.Path, dtype, CPU);
            return [.. InMemorySweep.Run(model, prompts, new PatchOptions(), new LogitDifference(), MemoryBudget.Default).Layers
                .OrderBy(layer => layer.Layer).ThenBy(layer => layer.PairIndices[0]).Select(layer => layer.PatchedMetric.SelectMany(pair => pair[0]).ToArray())];
        }
    }
}
