using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using static TorchSharp.torch;

namespace HeadPatching.DemoModel;

/// <summary>Writes a model in the form that Hugging Face's GPT-2 has: config.json and model.safetensors.</summary>
public static class Gpt2Folder
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n" };

    /// <summary>Writes config.json and model.safetensors (float32).</summary>
    /// <param name="folder">An existing folder; files of these names are replaced.</param>
    /// <param name="model">A model of GPT-2's family with a tied unembedding.</param>
    public static void Save(string folder, Transformer model)
    {
        File.WriteAllText(Path.Combine(folder, "config.json"), Config(model.Config).ToJsonString(Indented) + "\n");
        using var stream = File.Create(Path.Combine(folder, "model.safetensors"));
        var metadata = new Dictionary<string, string> { ["format"] = "pt" }; // transformers refuses a file that does not say this
        SafetensorsWriter.Write(stream, [.. Tensors(model.Weights)], metadata);
    }

    private static JsonObject Config(ModelConfig config) => new()
    {
        ["architectures"] = new JsonArray("GPT2LMHeadModel"),
        ["model_type"] = config.Family,
        ["vocab_size"] = config.Vocabulary,
        ["n_positions"] = config.Context,
        ["n_embd"] = config.Width,
        ["n_layer"] = config.Layers,
        ["n_head"] = config.Heads,
        ["n_inner"] = config.MlpWidth,
        ["activation_function"] = "gelu_new",
        ["layer_norm_epsilon"] = config.NormEpsilon,
        ["tie_word_embeddings"] = config.TiedUnembedding,
        ["bos_token_id"] = config.BosId,
        ["eos_token_id"] = config.BosId,
    };

    private static IEnumerable<(string Name, Tensor Tensor)> Tensors(TransformerWeights weights) =>
    [
        ("wte.weight", weights.TokenEmbedding),
        ("wpe.weight", weights.PositionEmbedding!),
        .. weights.Layers.SelectMany((layer, index) => Tensors(layer, $"h.{index}")),
        ("ln_f.weight", weights.FinalNormWeight!),
        ("ln_f.bias", weights.FinalNormBias!),
    ];

    private static IEnumerable<(string Name, Tensor Tensor)> Tensors(LayerWeights layer, string prefix) =>
    [
        ($"{prefix}.ln_1.weight", layer.AttentionNormWeight!),
        ($"{prefix}.ln_1.bias", layer.AttentionNormBias!),
        ($"{prefix}.attn.c_attn.weight", layer.QueryKeyValueWeight),
        ($"{prefix}.attn.c_attn.bias", layer.QueryKeyValueBias!),
        ($"{prefix}.attn.c_proj.weight", layer.OutputWeight),
        ($"{prefix}.attn.c_proj.bias", layer.OutputBias!),
        ($"{prefix}.ln_2.weight", layer.MlpNormWeight!),
        ($"{prefix}.ln_2.bias", layer.MlpNormBias!),
        ($"{prefix}.mlp.c_fc.weight", layer.MlpInWeight),
        ($"{prefix}.mlp.c_fc.bias", layer.MlpInBias!),
        ($"{prefix}.mlp.c_proj.weight", layer.MlpOutWeight),
        ($"{prefix}.mlp.c_proj.bias", layer.MlpOutBias!),
    ];
}
