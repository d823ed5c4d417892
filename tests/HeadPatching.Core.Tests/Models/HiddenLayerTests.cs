using System.Text.Json.Nodes;
using HeadPatching.Core.Models;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>An MLP's hidden layer is made some rows at a time, in place, where no gradient is asked for; at once where one is: the same numbers, rounded at the same places.</summary>
public class HiddenLayerTests
{
    [Theory]
    [InlineData("llama", ScalarType.Float32)]
    [InlineData("llama", ScalarType.Float64)]
    [InlineData("llama", ScalarType.BFloat16)]
    [InlineData("llama", ScalarType.Float16)]
    [InlineData("gpt_neox", ScalarType.Float32)]
    [InlineData("gpt_neox", ScalarType.BFloat16)]
    [InlineData("gpt2", ScalarType.Float32)]
    [InlineData("gpt2", ScalarType.BFloat16)]
    public void Many_rows_give_what_they_give_at_once_and_with_gradients(string family, ScalarType dtype)
    {
        using var folder = new TemporaryFolder();
        if (family == "gpt2")
        {
            RandomModelFolder.Write(folder.Path, layers: 1, heads: 4, width: 64, vocabulary: 60, context: 40, seed: 2);
        }
        else
        {
            JsonObject config = RandomModelFolder.Config(family);
            config["intermediate_size"] = 512;
            RandomModelFolder.Write(folder.Path, config, seed: 2);
        }

        using Transformer model = ModelFolder.Load(folder.Path, dtype, CPU);
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor resid = randn([7, 100, model.Config.Width], generator: generator).to(model.StreamDtype); // [batch, position, d_model]: 700 rows
        Assert.True(700L * model.Config.MlpWidth * sizeof(float) > 512 << 10); // a block has 256 KiB
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
    }
}
