using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families.Weights;

/// <summary>The tensors of a Phi-3 in a Hugging Face weights file: a Llama's, but q, k and v in one, and the MLP's gate and its other half in one.</summary>
internal static class Phi3Weights
{
    public static TransformerWeights Read(ModelConfig config, Func<string, Tensor> read, LayersOf layers)
    {
        Tensor embedding = read("embed_tokens.weight");
        return new TransformerWeights
        {
            TokenEmbedding = embedding,
            Layers = layers(l => ReadLayer(name => read($"layers.{l}.{name}"))),
            FinalNormWeight = read("norm.weight"),
            Unembedding = config.TiedUnembedding ? embedding : read("lm_head.weight"),
        };
    }

    public static Dictionary<string, long[]> Shapes(ModelConfig config)
    {
        long width = config.Width, mlp = config.MlpWidth, q = config.Heads * config.HeadWidth, k = config.KeyValueHeads * config.HeadWidth;
        var shapes = new Dictionary<string, long[]>
        {
            ["embed_tokens.weight"] = [config.Vocabulary, width],
            ["norm.weight"] = [width],
        };
        for (int l = 0; l < config.Layers; l++)
        {
            shapes[$"layers.{l}.input_layernorm.weight"] = [width];
            shapes[$"layers.{l}.self_attn.qkv_proj.weight"] = [q + (2 * k), width];
            shapes[$"layers.{l}.self_attn.o_proj.weight"] = [width, q];
            shapes[$"layers.{l}.post_attention_layernorm.weight"] = [width];
            shapes[$"layers.{l}.mlp.gate_up_proj.weight"] = [2 * mlp, width];
            shapes[$"layers.{l}.mlp.down_proj.weight"] = [width, mlp];
        }

        if (!config.TiedUnembedding)
        {
            shapes["lm_head.weight"] = [config.Vocabulary, width];
        }

        return shapes;
    }

    private static LayerWeights ReadLayer(Func<string, Tensor> read)
    {
        using var scope = NewDisposeScope();
        Tensor[] gateAndUp = read("mlp.gate_up_proj.weight").chunk(2, 0);     // [d_mlp, d_model] each
        return new LayerWeights
        {
            AttentionNormWeight = read("input_layernorm.weight").MoveToOuterDisposeScope(),
            QueryKeyValueWeight = Layout.Transposed(() => read("self_attn.qkv_proj.weight")).MoveToOuterDisposeScope(),
            OutputWeight = Layout.Transposed(() => read("self_attn.o_proj.weight")).MoveToOuterDisposeScope(),
            MlpNormWeight = read("post_attention_layernorm.weight").MoveToOuterDisposeScope(),
            MlpGateWeight = Layout.Transposed(() => gateAndUp[0]).MoveToOuterDisposeScope(),
            MlpInWeight = Layout.Transposed(() => gateAndUp[1]).MoveToOuterDisposeScope(),
            MlpOutWeight = Layout.Transposed(() => read("mlp.down_proj.weight")).MoveToOuterDisposeScope(),
        };
    }
}
