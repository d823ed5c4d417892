using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>
/// What bfloat16 weights cost, on every model that there are reference values of, whatever is patched and either way. Two things are rounded: the weights once,
/// which is no error where a file holds bfloat16 weights, and what they are multiplied with. The models are random, their weights large and float32: harder
/// than any model that was trained.
/// </summary>
public class LowerPrecisionTests
{
    /// <summary>Each model, and what the largest error of a patched metric may be, of the largest metric: of the products alone, and with the weights' rounding.</summary>
    public static TheoryData<string, double, double> Models { get; } = new()
    {
        { "gpt2-golden-a", 0.025, 0.025 },
        { "gpt2-golden-b", 0.016, 0.02 },
        { "gpt-neox-golden", 0.013, 0.02 },
        { "llama-golden", 0.02, 0.03 },
        { "gemma2-golden", 0.025, 0.035 },
        { "gemma3-golden", 0.04, 0.06 },
        { "olmo2-golden", 0.02, 0.02 },
        { "phi3-golden", 0.035, 0.045 },
        { "phi3-longrope-golden", 0.035, 0.04 },
        { "gptj-golden", 0.025, 0.03 },
        { "opt-golden", 0.016, 0.025 },
        { "opt350-golden", 0.016, 0.02 },
        { "granite-golden", 0.012, 0.015 },
        { "gpt_oss-golden", 1, 1 }, // a rounding turns which experts some position chooses, in float64 too
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void In_bfloat16_every_patched_metric_is_near(string name, double boundOfProducts, double bound) =>
        AssertNear(name, ScalarType.BFloat16, Enum.GetValues<Patch>(), Enum.GetValues<Direction>(), boundOfProducts, bound);

    /// <summary>float16 has three more bits. Sweeps take it on GPUs alone; its rounding is the same on a CPU, and its products are slow there: some patches one way will do.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void In_float16_it_is_several_times_as_near(string name, double boundOfProducts, double bound) =>
        AssertNear(name, ScalarType.Float16, [Patch.Z, Patch.Pattern, Patch.ResidPre], [Direction.Denoise], boundOfProducts / 4, bound / 4);

    private static void AssertNear(string name, ScalarType dtype, IReadOnlyList<Patch> patches, IReadOnlyList<Direction> directions, double boundOfProducts, double bound)
    {
        using var exact = new GoldenModel(name, ScalarType.Float64);
        using var rounded = new GoldenModel(name, ScalarType.Float64);
        using var rough = new GoldenModel(name, dtype);
        SetWeights(rounded.Model, rough.Model);
        double scale = 0, products = 0, weights = 0, whole = 0, sum = 0;
        int count = 0;
        foreach (PatchOptions options in Kinds(exact.Model.Config, patches, directions))
        {
            double[] expected = Metrics(exact, options), ofRounded = Metrics(rounded, options), actual = Metrics(rough, options);
            scale = Math.Max(scale, expected.Max(Math.Abs));
            for (int i = 0; i < expected.Length; i++)
            {
                products = Math.Max(products, Math.Abs(actual[i] - ofRounded[i]));
                weights = Math.Max(weights, Math.Abs(ofRounded[i] - expected[i]));
                whole = Math.Max(whole, Math.Abs(actual[i] - expected[i]));
                sum += Math.Abs(actual[i] - expected[i]);
                count++;
            }
        }

        TestContext.Current.TestOutputHelper!.WriteLine(FormattableString.Invariant(
            $"{name,-22} {dtype.Name()} {count,6} values, of {scale:F2}: largest {whole / scale:E1}, of products {products / scale:E1}, of weights {weights / scale:E1}; mean {sum / count / scale:E1}"));
        Assert.InRange(products / scale, 1e-6, boundOfProducts);
        Assert.InRange(whole / scale, 1e-6, bound);
    }

    /// <summary>The stream, norms and metric are float32's: of a model whose products round nothing they are what float32 gives.</summary>
    [Fact]
    public void What_is_no_product_of_a_matrix_is_computed_in_float32()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.BFloat16);
        Transformer model = golden.Model;
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor ids = tensor(golden.Pairs[0].Clean.Select(id => (long)id).ToArray()).unsqueeze(0);
        Tensor resid = model.Embed(ids);
        var (q, k, v) = model.QueryKeyValue(0, resid);
        Tensor z = model.Attend(0, q, k, v), post = model.ResidPost(0, resid, z);
        Assert.All(new[] { resid, q, k, v, z, post, model.FinalNorm(post), model.Unembed(model.FinalNorm(post)) }, made => Assert.Equal(ScalarType.Float32, made.dtype));
        Assert.All(model.Weights.All(), weight => Assert.Equal(
            weight.dim() == 1 || ReferenceEquals(weight, model.Weights.PositionEmbedding) ? ScalarType.Float32 : ScalarType.BFloat16, weight.dtype));
        Assert.Equal((ScalarType.BFloat16, ScalarType.Float32), (model.Dtype, model.StreamDtype));
    }

    private static IEnumerable<PatchOptions> Kinds(ModelConfig config, IReadOnlyList<Patch> patches, IReadOnlyList<Direction> directions) =>
        from patch in patches
        where patch != Patch.ResidMid || !config.ParallelResidual
        from direction in directions
        select new PatchOptions { Patch = patch, Direction = direction };

    private static double[] Metrics(GoldenModel golden, PatchOptions options)
    {
        SweepResult result = ParityTests.Sweep(golden.Model, golden.Pairs, options);
        return [.. result.Pairs.SelectMany(pair => pair.PatchedMetric!.SelectMany(layer => layer).Append(pair.CleanMetric).Append(pair.CorruptedMetric))];
    }

    private static void SetWeights(Transformer model, Transformer from)
    {
        using var mode = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (own, other) in model.Weights.All().Zip(from.Weights.All()))
        {
            own.copy_(other.to(own.dtype));
        }
    }
}
