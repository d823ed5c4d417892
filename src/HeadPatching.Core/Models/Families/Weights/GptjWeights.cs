using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families.Weights;

/// <summary>GPT-J's tensors in a Hugging Face weights file: their names, their shapes, and where each goes. One norm serves attention and MLP.</summary>
internal static class GptjWeights
{
    public static TensorNames Names { get; } = new(["transformer."], "h.", "wte.weight", "lm_head", [".attn.bias", ".attn.masked_bias", ".attn.embed_positions"]);

    public static TransformerWeights Read(ModelConfig config, Func<string, Tensor> read, LayersOf layers)
    {
        return new TransformerWeights
        {
            TokenEmbedding = read("wte.weight"),
            Layers = layers(l => ReadLayer(name => read($"h.{l}.{name}"))),
            FinalNormWeight = read("ln_f.weight"),
            FinalNormBias = read("ln_f.bias"),
            Unembedding = read("lm_head.weight"),
            UnembeddingBias = read("lm_head.bias"),
        };
    }

    public static Dictionary<string, long[]> Shapes(ModelConfig config)
    {
        long width = config.Width, mlp = config.MlpWidth;
        var shapes = new Dictionary<string, long[]>
        {
            ["wte.weight"] = [config.Vocabulary, width],
            ["ln_f.weight"] = [width],
            ["ln_f.bias"] = [width],
            ["lm_head.weight"] = [config.Vocabulary, width],
            ["lm_head.bias"] = [config.Vocabulary],
        };
        for (int l = 0; l < config.Layers; l++)
        {
            shapes[$"h.{l}.ln_1.weight"] = [width];
            shapes[$"h.{l}.ln_1.bias"] = [width];
            shapes[$"h.{l}.attn.q_proj.weight"] = [width, width];
            shapes[$"h.{l}.attn.k_proj.weight"] = [width, width];
            shapes[$"h.{l}.attn.v_proj.weight"] = [width, width];
            shapes[$"h.{l}.attn.out_proj.weight"] = [width, width];
            shapes[$"h.{l}.mlp.fc_in.weight"] = [mlp, width];
            shapes[$"h.{l}.mlp.fc_in.bias"] = [mlp];
            shapes[$"h.{l}.mlp.fc_out.weight"] = [width, mlp];
            shapes[$"h.{l}.mlp.fc_out.bias"] = [width];
        }

        return shapes;
    }

    private static LayerWeights ReadLayer(Func<string, Tensor> read)
    {
        Tensor normWeight = read("ln_1.weight"), normBias = read("ln_1.bias");
        return new LayerWeights
        {
            AttentionNormWeight = normWeight,
            AttentionNormBias = normBias,
            QueryKeyValueWeight = Layout.Transposed(() => Layout.Joined(read, "attn", "weight")),
            OutputWeight = Layout.Transposed(() => read("attn.out_proj.weight")),
            MlpNormWeight = normWeight,
            MlpNormBias = normBias,
            MlpInWeight = Layout.Transposed(() => read("mlp.fc_in.weight")),
            MlpInBias = read("mlp.fc_in.bias"),
            MlpOutWeight = Layout.Transposed(() => read("mlp.fc_out.weight")),
            MlpOutBias = read("mlp.fc_out.bias"),
        };
    }
}
