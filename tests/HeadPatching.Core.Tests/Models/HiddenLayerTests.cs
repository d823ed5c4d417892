using System.Text.Json.Nodes;
using HeadPatching.Core.Models;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>
/// An MLP's hidden layer is made some rows at a time, in place, in inference mode; at once outside of it: the same numbers, rounded at the same places. Products of bfloat16 are made
/// in float32 where the processor is faster at that, unless a gradient is asked for: what they add up to then differs in float32's last digits, and a rounding can turn.
/// </summary>
public class HiddenLayerTests
{
    [Theory]
    [InlineData("llama", ScalarType.Float32, 512)]
    [InlineData("llama", ScalarType.Float64, 512)]
    [InlineData("llama", ScalarType.BFloat16, 512)]
    [InlineData("llama", ScalarType.Float16, 512)]
    [InlineData("gpt_neox", ScalarType.Float32, 512)]
    [InlineData("gpt_neox", ScalarType.BFloat16, 512)]
    [InlineData("gpt_neox", ScalarType.BFloat16, 70_000)] // W_in and W_out are 17 MiB in float32 each: more than are widened at once
    [InlineData("gpt2", ScalarType.Float32, 256)]
    [InlineData("gpt2", ScalarType.BFloat16, 256)]
    public void Many_rows_give_what_they_give_at_once_and_with_gradients(string family, ScalarType dtype, int mlpWidth)
    {
        using var folder = new TemporaryFolder();
        if (family == "gpt2")
        {
            RandomModelFolder.Write(folder.Path, layers: 1, heads: 4, width: 64, vocabulary: 60, context: 40, seed: 2);
        }
        else
        {
            JsonObject config = RandomModelFolder.Config(family);
            config["intermediate_size"] = mlpWidth;
            RandomModelFolder.Write(folder.Path, config, seed: 2);
        }

        using Transformer model = ModelFolder.Load(folder.Path, dtype, CPU);
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor resid = randn([11, 100, model.Config.Width], generator: generator).to(model.StreamDtype); // [batch, position, d_model]: 1,100 rows, of which no more than 1,024 are multiplied at once
        Assert.Equal(mlpWidth, model.Config.MlpWidth);
        Assert.True(1100L * mlpWidth * sizeof(float) > 512 << 10); // a block has 256 KiB
        Tensor whole = model.MlpOut(0, resid), blocks;
        using (inference_mode())
        {
            blocks = model.MlpOut(0, resid);
        }

        Assert.Equal(model.StreamDtype, blocks.dtype);
        Assert.Equal(resid.shape, blocks.shape);
        double difference = (whole - blocks).abs().max().to(ScalarType.Float64).item<double>(), scale = whole.abs().max().to(ScalarType.Float64).item<double>();
        bool sameFormula = model.Config.Activation != Activation.GeluTanh; // which has one of its own without gradients, and a rounding can turn
        Assert.InRange(difference / scale, 0, sameFormula ? 0 : dtype == ScalarType.BFloat16 ? 5e-3 : 1e-6);

        Tensor withGradient = model.MlpOut(0, resid.clone().requires_grad_(true)).detach();
        difference = (withGradient - blocks).abs().max().to(ScalarType.Float64).item<double>();
        Assert.InRange(difference / scale, 0, dtype == ScalarType.BFloat16 ? 5e-3 : sameFormula ? 0 : 1e-6);
    }
}
