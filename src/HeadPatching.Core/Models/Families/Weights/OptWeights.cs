using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families.Weights;

/// <summary>
/// OPT's tensors in a Hugging Face weights file: their names, their shapes, and where each goes. Where embeddings are narrower than the stream,
/// the matrices between the two (project_in, project_out) are multiplied into them once.
/// </summary>
internal static class OptWeights
{
    /// <summary>Rows of the position embeddings before that of the first token.</summary>
    private const int PositionOffset = 2;

    public static TensorNames Names { get; } = new(["model."], "decoder.layers.", "decoder.embed_tokens.weight", "lm_head.weight", []) { Wide = ["embed_positions"] };

    public static TransformerWeights Read(ModelConfig config, Func<string, Tensor> read, LayersOf layers)
    {
        Tensor embedding = Layout.Kept(() => config.EmbeddingWidth is null
            ? read("decoder.embed_tokens.weight")
            : read("decoder.embed_tokens.weight").matmul(read("decoder.project_in.weight").t())); // [vocabulary, d_model]
        string unembedding = config.TiedUnembedding ? "decoder.embed_tokens.weight" : "lm_head.weight";
        return new TransformerWeights
        {
            TokenEmbedding = embedding,
            PositionEmbedding = Layout.Kept(() => read("decoder.embed_positions.weight").narrow(0, PositionOffset, config.Context).clone()),
            Layers = layers(l => ReadLayer(config, name => read($"decoder.layers.{l}.{name}"))),
            FinalNormWeight = config.FinalNorm ? read("decoder.final_layer_norm.weight") : null,
            FinalNormBias = config.FinalNorm ? read("decoder.final_layer_norm.bias") : null,
            Unembedding = config.EmbeddingWidth is not null ? Layout.Kept(() => read(unembedding).matmul(read("decoder.project_out.weight"))) // [vocabulary, d_model]
                : config.TiedUnembedding ? embedding
                : read(unembedding),
        };
    }

    public static Dictionary<string, long[]> Shapes(ModelConfig config)
    {
        long width = config.Width, mlp = config.MlpWidth, embedding = config.EmbeddingWidth ?? width;
        var shapes = new Dictionary<string, long[]>
        {
            ["decoder.embed_tokens.weight"] = [config.Vocabulary, embedding],
            ["decoder.embed_positions.weight"] = [config.Context + PositionOffset, width],
        };
        if (config.EmbeddingWidth is not null)
        {
            shapes["decoder.project_in.weight"] = [width, embedding];
            shapes["decoder.project_out.weight"] = [embedding, width];
        }

        if (config.FinalNorm)
        {
            shapes["decoder.final_layer_norm.weight"] = [width];
            shapes["decoder.final_layer_norm.bias"] = [width];
        }

        for (int l = 0; l < config.Layers; l++)
        {
            foreach (string norm in new[] { "self_attn_layer_norm", "final_layer_norm" })
            {
                shapes[$"decoder.layers.{l}.{norm}.weight"] = [width];
                shapes[$"decoder.layers.{l}.{norm}.bias"] = [width];
            }

            foreach (string part in new[] { "q_proj", "k_proj", "v_proj", "out_proj" })
            {
                shapes[$"decoder.layers.{l}.self_attn.{part}.weight"] = [width, width];
                shapes[$"decoder.layers.{l}.self_attn.{part}.bias"] = [width];
            }

            shapes[$"decoder.layers.{l}.fc1.weight"] = [mlp, width];
            shapes[$"decoder.layers.{l}.fc1.bias"] = [mlp];
            shapes[$"decoder.layers.{l}.fc2.weight"] = [width, mlp];
            shapes[$"decoder.layers.{l}.fc2.bias"] = [width];
        }

        if (!config.TiedUnembedding)
        {
            shapes["lm_head.weight"] = [config.Vocabulary, embedding];
        }

        return shapes;
    }

    private static LayerWeights ReadLayer(ModelConfig config, Func<string, Tensor> read)
    {
        // A layer's final_layer_norm is the norm before the MLP, or of the stream after it.
        bool before = config.NormPlace == NormPlace.Before;
        var (attentionWeight, attentionBias) = (read("self_attn_layer_norm.weight"), read("self_attn_layer_norm.bias"));
        var (mlpWeight, mlpBias) = (read("final_layer_norm.weight"), read("final_layer_norm.bias"));
        return new LayerWeights
        {
            AttentionNormWeight = before ? attentionWeight : null,
            AttentionNormBias = before ? attentionBias : null,
            QueryKeyValueWeight = Layout.Transposed(() => Layout.Joined(read, "self_attn", "weight")),
            QueryKeyValueBias = Layout.Kept(() => Layout.Joined(read, "self_attn", "bias")),
            OutputWeight = Layout.Transposed(() => read("self_attn.out_proj.weight")),
            OutputBias = read("self_attn.out_proj.bias"),
            AttentionOutNormWeight = before ? null : attentionWeight,
            AttentionOutNormBias = before ? null : attentionBias,
            MlpNormWeight = before ? mlpWeight : null,
            MlpNormBias = before ? mlpBias : null,
            MlpInWeight = Layout.Transposed(() => read("fc1.weight")),
            MlpInBias = read("fc1.bias"),
            MlpOutWeight = Layout.Transposed(() => read("fc2.weight")),
            MlpOutBias = read("fc2.bias"),
            MlpOutNormWeight = before ? null : mlpWeight,
            MlpOutNormBias = before ? null : mlpBias,
        };
    }
}
