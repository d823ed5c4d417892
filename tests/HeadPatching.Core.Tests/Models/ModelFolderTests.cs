using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

public class ModelFolderTests
{
    /// <summary>The logit differences come from a forward pass written in plain Python, in float64, for the first four prompts of golden.json.</summary>
    [Fact]
    public void The_logits_are_those_of_GPT2_as_Hugging_Face_defines_it_final_norm_and_all()
    {
        double[] expected = [-0.941276289, -4.746578787, 4.905324433, 2.655304641];
        string folder = GoldenModel.Folder("gpt2-golden-a");
        using Transformer model = ModelFolder.Load(folder, ScalarType.Float64, CPU);
        using var golden = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "golden.json")));
        foreach (var (pair, difference) in golden.RootElement.GetProperty("pairs").EnumerateArray().Zip(expected))
        {
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            long[] ids = [.. pair.GetProperty("clean").EnumerateArray().Select(id => id.GetInt64())];
            Tensor last = model.Logits(tensor(ids).unsqueeze(0))[0, -1];
            Assert.Equal(difference, (last[pair.GetProperty("correct").GetInt32()] - last[pair.GetProperty("incorrect").GetInt32()]).item<double>(), 1e-8);
        }
    }

    [Theory]
    [InlineData("transformer.")]
    [InlineData("")]
    public void Both_key_styles_and_an_unembedding_of_its_own_are_read(string prefix)
    {
        using var folder = new TemporaryFolder();
        string golden = GoldenModel.Folder("gpt2-golden-a");
        using Transformer tied = ModelFolder.Load(golden, ScalarType.Float32, CPU);
        using (SafetensorsFile file = SafetensorsFile.Open(Path.Combine(golden, "model.safetensors")))
        using (NewDisposeScope())
        {
            List<(string Name, Tensor Tensor)> tensors = [.. file.Tensors.Keys.Select(name => (prefix + name, file.Read(name, ScalarType.Float32, CPU)))];
            tensors.Add(("lm_head.weight", file.Read("wte.weight", ScalarType.Float32, CPU) * tensor(2.0)));
            using FileStream stream = File.Create(Path.Combine(folder.Path, "model.safetensors"));
            SafetensorsWriter.Write(stream, tensors);
        }

        string config = File.ReadAllText(Path.Combine(golden, "config.json"));
        File.WriteAllText(Path.Combine(folder.Path, "config.json"), config.Replace("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", StringComparison.Ordinal));
        using Transformer own = ModelFolder.Load(folder.Path, ScalarType.Float32, CPU);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor ids = tensor(new long[] { 100, 3, 22, 77 }).unsqueeze(0);
        Assert.True(own.Logits(ids).allclose(tied.Logits(ids) * tensor(2.0), rtol: 1e-4, atol: 1e-4));
    }

    [Theory]
    [InlineData(double.NaN, ScalarType.Float32, "holds a NaN or an infinite number")]
    [InlineData(double.NaN, ScalarType.BFloat16, "holds a NaN or an infinite number")]
    [InlineData(double.PositiveInfinity, ScalarType.Float32, "holds a NaN or an infinite number")]
    [InlineData(double.NegativeInfinity, ScalarType.Float64, "holds a NaN or an infinite number")]
    [InlineData(1e300, ScalarType.Float32, "holds numbers that are too large for float32; load it in float64")]
    [InlineData(-1e300, ScalarType.BFloat16, "holds numbers that are too large for float32; load it in float64")] // biases and position embeddings are float32 there
    public void Weights_that_are_not_finite_are_refused_by_their_names_and_nothing_of_them_is_left(double number, ScalarType dtype, string message)
    {
        using var folder = new TemporaryFolder();
        string[] wrong = ["h.1.mlp.c_fc.bias", "wpe.weight"];
        WriteWith(folder.Path, wrong, number);
        long before = TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        InvalidInputException refused = Assert.Throws<InvalidInputException>(() => ModelFolder.Load(folder.Path, dtype, CPU));
        Assert.Equal(before, TorchSharp.DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Equal(2, refused.Faults.Count);
        Assert.All(refused.Faults, fault => Assert.Equal((FaultKinds.InvalidWeights, Path.Combine(folder.Path, "model.safetensors")), (fault.Kind, fault.Where)));
        Assert.All(wrong, name => Assert.Contains(refused.Faults, fault => fault.Message == $"The tensor '{name}' {MessageEnd()}"));

        string MessageEnd() => message + (message.Contains("NaN", StringComparison.Ordinal) ? "; the file is damaged, or its training failed." : ".");
    }

    [Fact]
    public void Large_numbers_that_float64_can_hold_are_loaded_in_it()
    {
        using var folder = new TemporaryFolder();
        WriteWith(folder.Path, ["wpe.weight"], 1e300);
        using Transformer model = ModelFolder.Load(folder.Path, ScalarType.Float64, CPU);
        using var scope = NewDisposeScope();
        Assert.Equal(1e300, model.Weights.PositionEmbedding![0, 0].item<double>());
    }

    /// <summary>A golden model in float64, the first number of some tensors replaced.</summary>
    private static void WriteWith(string folder, string[] tensors, double number)
    {
        string golden = GoldenModel.Folder("gpt2-golden-a");
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(golden, "model.safetensors"));
        using var scope = NewDisposeScope();
        Assert.All(tensors, name => Assert.Contains(name, file.Tensors.Keys));
        List<(string Name, Tensor Tensor)> all = [.. file.Tensors.Keys.Select(name => (name, file.Read(name, ScalarType.Float64, CPU)))];
        foreach (var (_, weight) in all.Where(named => tensors.Contains(named.Name)))
        {
            weight.view(-1)[0] = tensor(number);
        }

        using FileStream stream = File.Create(Path.Combine(folder, "model.safetensors"));
        SafetensorsWriter.Write(stream, all);
        File.Copy(Path.Combine(golden, "config.json"), Path.Combine(folder, "config.json"));
    }

    [Fact]
    public void A_model_outlives_the_dispose_scope_it_was_loaded_in()
    {
        Transformer model;
        using (NewDisposeScope())
        {
            model = ModelFolder.Load(GoldenModel.Folder("gpt2-golden-a"), ScalarType.Float32, CPU);
        }

        using (model)
        using (NewDisposeScope())
        {
            Assert.True(model.Logits(tensor(new long[] { 100, 3 }).unsqueeze(0)).isfinite().all().item<bool>());
        }
    }
}
