using System.Text.Json;
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
