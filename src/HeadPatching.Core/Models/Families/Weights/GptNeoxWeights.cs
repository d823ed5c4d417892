using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families.Weights;

/// <summary>GPT-NeoX's tensors in a Hugging Face weights file: their names, their shapes, and where each goes.</summary>
internal static class GptNeoxWeights
{
    public static TensorNames Names { get; } = new(
        ["gpt_neox."], "layers.", "embed_in.weight", "embed_out.weight", [".attention.bias", ".attention.masked_bias", ".attention.rotary_emb.inv_freq"]);

    public static TransformerWeights Read(ModelConfig config, Func<string, Tensor> read, LayersOf layers)
    {
        Tensor embedding = read("embed_in.weight");
        return new TransformerWeights
        {
            TokenEmbedding = embedding,
            Layers = layers(l => ReadLayer(config, name => read($"layers.{l}.{name}"))),
            FinalNormWeight = read("final_layer_norm.weight"),
            FinalNormBias = read("final_layer_norm.bias"),
            Unembedding = config.TiedUnembedding ? embedding : read("embed_out.weight"),
        };
    }

    public static Dictionary<string, long[]> Shapes(ModelConfig config)
    {
        long width = config.Width, mlp = config.MlpWidth;
        var shapes = new Dictionary<string, long[]>
        {
            ["embed_in.weight"] = [config.Vocabulary, width],
            ["final_layer_norm.weight"] = [width],
            ["final_layer_norm.bias"] = [width],
        };
        for (int l = 0; l < config.Layers; l++)
        {
            shapes[$"layers.{l}.input_layernorm.weight"] = [width];
            shapes[$"layers.{l}.input_layernorm.bias"] = [width];
            shapes[$"layers.{l}.post_attention_layernorm.weight"] = [width];
            shapes[$"layers.{l}.post_attention_layernorm.bias"] = [width];
            shapes[$"layers.{l}.attention.query_key_value.weight"] = [3 * width, width];
            shapes[$"layers.{l}.attention.dense.weight"] = [width, width];
            if (config.QueryKeyValueBias)
            {
                shapes[$"layers.{l}.attention.query_key_value.bias"] = [3 * width];
                shapes[$"layers.{l}.attention.dense.bias"] = [width];
            }

            shapes[$"layers.{l}.mlp.dense_h_to_4h.weight"] = [mlp, width];
            shapes[$"layers.{l}.mlp.dense_h_to_4h.bias"] = [mlp];
            shapes[$"layers.{l}.mlp.dense_4h_to_h.weight"] = [width, mlp];
            shapes[$"layers.{l}.mlp.dense_4h_to_h.bias"] = [width];
        }

        if (!config.TiedUnembedding)
        {
            shapes["embed_out.weight"] = [config.Vocabulary, width];
        }

        return shapes;
    }

    private static LayerWeights ReadLayer(ModelConfig config, Func<string, Tensor> read) => new()
    {
        AttentionNormWeight = read("input_layernorm.weight"),
        AttentionNormBias = read("input_layernorm.bias"),
        QueryKeyValueWeight = Layout.Transposed(() => PartByPart(read("attention.query_key_value.weight"), config)),
        QueryKeyValueBias = config.QueryKeyValueBias ? Layout.Kept(() => PartByPart(read("attention.query_key_value.bias"), config)) : null,
        OutputWeight = Layout.Transposed(() => read("attention.dense.weight")),
        OutputBias = config.OutputBias ? read("attention.dense.bias") : null,
        MlpNormWeight = read("post_attention_layernorm.weight"),
        MlpNormBias = read("post_attention_layernorm.bias"),
        MlpInWeight = Layout.Transposed(() => read("mlp.dense_h_to_4h.weight")),
        MlpInBias = read("mlp.dense_h_to_4h.bias"),
        MlpOutWeight = Layout.Transposed(() => read("mlp.dense_4h_to_h.weight")),
        MlpOutBias = read("mlp.dense_4h_to_h.bias"),
    };

    /// <summary>GPT-NeoX stores a head's q, k and v one after another, head by head: [heads * 3 * d_head, ..] -> [3 * heads * d_head, ..]</summary>
    private static Tensor PartByPart(Tensor stored, ModelConfig config) =>
        stored.unflatten(0, [config.Heads, 3, config.HeadWidth]).transpose(0, 1).flatten(0, 2);
}
