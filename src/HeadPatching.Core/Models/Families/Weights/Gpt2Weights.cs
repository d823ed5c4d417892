using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families.Weights;

/// <summary>GPT-2's tensors in a Hugging Face weights file: their names, their shapes, and where each goes.</summary>
internal static class Gpt2Weights
{
    public static TensorNames Names { get; } = new(["transformer."], "h.", "wte.weight", "lm_head.weight", [".attn.bias", ".attn.masked_bias"]) { Wide = ["wpe."] };

    public static TransformerWeights Read(ModelConfig config, Func<string, Tensor> read, LayersOf layers)
    {
        Tensor embedding = read("wte.weight");
        return new TransformerWeights
        {
            TokenEmbedding = embedding,
            PositionEmbedding = read("wpe.weight"),
            Layers = layers(Layer),
            FinalNormWeight = read("ln_f.weight"),
            FinalNormBias = read("ln_f.bias"),
            Unembedding = config.TiedUnembedding ? embedding : read("lm_head.weight"),
        };

        LayerWeights Layer(int l) => new()
        {
            AttentionNormWeight = read($"h.{l}.ln_1.weight"),
            AttentionNormBias = read($"h.{l}.ln_1.bias"),
            QueryKeyValueWeight = Layout.TransposedInMemory(() => read($"h.{l}.attn.c_attn.weight")),
            QueryKeyValueBias = read($"h.{l}.attn.c_attn.bias"),
            OutputWeight = Layout.TransposedInMemory(() => read($"h.{l}.attn.c_proj.weight")),
            OutputBias = read($"h.{l}.attn.c_proj.bias"),
            MlpNormWeight = read($"h.{l}.ln_2.weight"),
            MlpNormBias = read($"h.{l}.ln_2.bias"),
            MlpInWeight = Layout.TransposedInMemory(() => read($"h.{l}.mlp.c_fc.weight")),
            MlpInBias = read($"h.{l}.mlp.c_fc.bias"),
            MlpOutWeight = Layout.TransposedInMemory(() => read($"h.{l}.mlp.c_proj.weight")),
            MlpOutBias = read($"h.{l}.mlp.c_proj.bias"),
        };
    }

    public static Dictionary<string, long[]> Shapes(ModelConfig config)
    {
        long width = config.Width, mlp = config.MlpWidth;
        var shapes = new Dictionary<string, long[]>
        {
            ["wte.weight"] = [config.Vocabulary, width],
            ["wpe.weight"] = [config.Context, width],
            ["ln_f.weight"] = [width],
            ["ln_f.bias"] = [width],
        };
        for (int l = 0; l < config.Layers; l++)
        {
            shapes[$"h.{l}.ln_1.weight"] = [width];
            shapes[$"h.{l}.ln_1.bias"] = [width];
            shapes[$"h.{l}.attn.c_attn.weight"] = [width, 3 * width];
            shapes[$"h.{l}.attn.c_attn.bias"] = [3 * width];
            shapes[$"h.{l}.attn.c_proj.weight"] = [width, width];
            shapes[$"h.{l}.attn.c_proj.bias"] = [width];
            shapes[$"h.{l}.ln_2.weight"] = [width];
            shapes[$"h.{l}.ln_2.bias"] = [width];
            shapes[$"h.{l}.mlp.c_fc.weight"] = [width, mlp];
            shapes[$"h.{l}.mlp.c_fc.bias"] = [mlp];
            shapes[$"h.{l}.mlp.c_proj.weight"] = [mlp, width];
            shapes[$"h.{l}.mlp.c_proj.bias"] = [width];
        }

        if (!config.TiedUnembedding)
        {
            shapes["lm_head.weight"] = [config.Vocabulary, width];
        }

        return shapes;
    }
}
