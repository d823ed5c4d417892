using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>The weights files of the families other than GPT-2: what is found in them, and what is refused.</summary>
public class FamilyWeightsTests
{
    public static TheoryData<string> Families { get; } = ["gpt_neox", "llama", "mistral", "qwen2", "qwen3"];

    [Theory]
    [MemberData(nameof(Families))]
    public void A_folder_is_looked_at_without_reading_its_weights(string family)
    {
        using var folder = Random(family);
        ModelFolderSummary summary = ModelFolder.Inspect(folder.Path);
        using Transformer model = ModelFolder.Load(folder.Path, ScalarType.Float32, CPU);
        Assert.Equal(family, summary.Config.Family);
        Assert.Equal(model.Weights.All().Sum(weight => weight.NumberOfElements), summary.Parameters);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Every_missing_and_misshapen_tensor_is_a_fault(string family)
    {
        using var folder = Random(family);
        string[] names = Rewrite(folder, (_, tensor) => tensor);
        string missing = names.First(name => name.Contains("layers.1", StringComparison.Ordinal)), misshapen = names[^1];
        Rewrite(folder, (name, tensor) => name == missing ? null : name == misshapen ? tensor.narrow(0, 0, tensor.shape[0] - 1) : tensor);
        var faults = Assert.Throws<InvalidInputException>(() => ModelFolder.Inspect(folder.Path)).Faults;
        Assert.Equal(2, faults.Count);
        Assert.All(faults, fault => Assert.Equal(FaultKinds.InvalidWeights, fault.Kind));
        Assert.Contains(faults, fault => fault.Message.Contains($"lack the tensor '{missing}'", StringComparison.Ordinal));
        Assert.Contains(faults, fault => fault.Message.Contains($"'{misshapen}' has the shape", StringComparison.Ordinal));
        Assert.Throws<InvalidInputException>(() => ModelFolder.Load(folder.Path, ScalarType.Float32, CPU));

        Rewrite(folder, (_, _) => null);
        Assert.Equal(names.Length, Assert.Throws<InvalidInputException>(() => ModelFolder.Inspect(folder.Path)).Faults.Count);
    }

    /// <summary>transformers saves a model with its unembedding under a prefix, and one without it under none.</summary>
    [Theory]
    [MemberData(nameof(Families))]
    public void Both_key_styles_are_read(string family)
    {
        using var folder = Random(family, tied: true);
        Tensor Logits()
        {
            using Transformer model = ModelFolder.Load(folder.Path, ScalarType.Float64, CPU);
            return model.Logits(tensor(new long[] { 1, 2, 3 }).unsqueeze(0));
        }

        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor prefixed = Logits();
        Rewrite(folder, (_, tensor) => tensor, rename: name => name[(name.IndexOf('.', StringComparison.Ordinal) + 1)..]);
        Assert.True(Logits().equal(prefixed).all().item<bool>());
    }

    /// <summary>Such a tensor says that config.json is not the whole truth; buffers of old files say nothing.</summary>
    [Fact]
    public void A_tensor_that_config_json_does_not_account_for_is_refused_in_a_layer_that_is_run()
    {
        using var folder = Random("llama");
        Add(folder, "model.layers.0.self_attn.q_proj.bias", "model.layers.1.self_attn.rotary_emb.inv_freq", "model.layers.3.mlp.up_proj.bias", "score.weight");
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => ModelFolder.Inspect(folder.Path)).Faults);
        Assert.Equal(FaultKinds.InvalidWeights, fault.Kind);
        Assert.Contains("'model.layers.0.self_attn.q_proj.bias'.", fault.Message);

        using var neox = Random("gpt_neox");
        Add(neox, "gpt_neox.layers.0.attention.bias", "gpt_neox.layers.0.attention.masked_bias", "gpt_neox.layers.0.attention.rotary_emb.inv_freq");
        ModelFolder.Inspect(neox.Path);

        using var gpt2 = new TemporaryFolder();
        RandomModelFolder.Write(gpt2.Path, layers: 2, heads: 2, width: 8, vocabulary: 20, context: 8, seed: 1);
        Add(gpt2, "h.0.attn.bias", "h.1.attn.masked_bias");
        ModelFolder.Inspect(gpt2.Path);
    }

    private static TemporaryFolder Random(string family, bool tied = false)
    {
        var folder = new TemporaryFolder();
        var config = RandomModelFolder.Config(family);
        config["tie_word_embeddings"] = tied;
        RandomModelFolder.Write(folder.Path, config, seed: 3);
        return folder;
    }

    private static void Add(TemporaryFolder folder, params string[] names) => Rewrite(folder, (_, tensor) => tensor, more: names);

    /// <summary>Writes the weights again, each as it is changed, without those that become null; gives the names there were.</summary>
    private static string[] Rewrite(TemporaryFolder folder, Func<string, Tensor, Tensor?> change, Func<string, string>? rename = null, string[]? more = null)
    {
        using var scope = NewDisposeScope();
        string path = Path.Combine(folder.Path, "model.safetensors");
        var tensors = new List<(string Name, Tensor Tensor)>();
        string[] names;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            names = [.. file.Tensors.Keys];
            foreach (string name in names)
            {
                if (change(name, file.Read(name, ScalarType.Float32, CPU)) is { } tensor)
                {
                    tensors.Add((rename?.Invoke(name) ?? name, tensor.contiguous()));
                }
            }
        }

        tensors.AddRange((more ?? []).Select(name => (name, zeros(4))));
        using FileStream stream = File.Create(path);
        SafetensorsWriter.Write(stream, tensors);
        return names;
    }
}
