using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families.Weights;

/// <summary>
/// The tensors of a Llama, Mistral, Qwen, Granite, Gemma or OLMo 2 in a Hugging Face weights file: their names, their shapes, and where each
/// goes. They share the names; what one has and another has not is in the config.
/// </summary>
internal static class LlamaWeights
{
    public static TensorNames Names { get; } = new(["model."], "layers.", "embed_tokens.weight", "lm_head.weight", [".self_attn.rotary_emb.inv_freq"]);

    private static readonly (string Name, long[] Shape)[] NoTensors = [];

    public static TransformerWeights Read(ModelConfig config, Func<string, Tensor> read, LayersOf layers)
    {
        Tensor embedding = read("embed_tokens.weight");
        return new TransformerWeights
        {
            TokenEmbedding = embedding,
            Layers = layers(l => ReadLayer(config, name => read($"layers.{l}.{name}"))),
            FinalNormWeight = read("norm.weight"),
            Unembedding = config.TiedUnembedding ? embedding : read("lm_head.weight"),
        };
    }

    public static Dictionary<string, long[]> Shapes(ModelConfig config)
    {
        var shapes = new Dictionary<string, long[]>
        {
            ["embed_tokens.weight"] = [config.Vocabulary, config.Width],
            ["norm.weight"] = [config.Width],
        };
        for (int l = 0; l < config.Layers; l++)
        {
            foreach (var (name, shape) in LayerShapes(config))
            {
                shapes[$"layers.{l}.{name}"] = shape;
            }
        }

        if (!config.TiedUnembedding)
        {
            shapes["lm_head.weight"] = [config.Vocabulary, config.Width];
        }

        return shapes;
    }

    private static IEnumerable<(string Name, long[] Shape)> LayerShapes(ModelConfig config)
    {
        long width = config.Width, mlp = config.MlpWidth, q = config.Heads * config.HeadWidth, k = config.KeyValueHeads * config.HeadWidth;
        bool together = config.QueryKeyNorm == QueryKeyNorm.AllHeads;
        return
        [
            .. NormNames(config).All.Select(name => (name, (long[])[width])),
            .. Linear("self_attn.q_proj", width, q, config.QueryKeyValueBias),
            .. Linear("self_attn.k_proj", width, k, config.QueryKeyValueBias),
            .. Linear("self_attn.v_proj", width, k, config.QueryKeyValueBias),
            .. config.QueryKeyNorm == QueryKeyNorm.None ? NoTensors :
            [
                ("self_attn.q_norm.weight", [together ? q : config.HeadWidth]), ("self_attn.k_norm.weight", [together ? k : config.HeadWidth]),
            ],
            .. Linear("self_attn.o_proj", q, width, config.OutputBias),
            .. Linear("mlp.gate_proj", width, mlp, config.MlpBias),
            .. Linear("mlp.up_proj", width, mlp, config.MlpBias),
            .. Linear("mlp.down_proj", mlp, width, config.MlpBias),
        ];
    }

    /// <summary>PyTorch's Linear: a weight [out, in] and perhaps a bias [out].</summary>
    internal static IEnumerable<(string Name, long[] Shape)> Linear(string name, long inputs, long outputs, bool hasBias) =>
        hasBias ? [($"{name}.weight", [outputs, inputs]), ($"{name}.bias", [outputs])] : [($"{name}.weight", [outputs, inputs])];

    /// <summary>What the norms of a layer are called: post_attention_layernorm is before the MLP where there is none after attention.</summary>
    private static (string? Attention, string? AttentionOut, string? Mlp, string? MlpOut, IEnumerable<string> All) NormNames(ModelConfig config)
    {
        const string Pre = "input_layernorm.weight", Post = "post_attention_layernorm.weight";
        const string PreMlp = "pre_feedforward_layernorm.weight", PostMlp = "post_feedforward_layernorm.weight";
        return config.NormPlace switch
        {
            NormPlace.BeforeAndAfter => (Pre, Post, PreMlp, PostMlp, [Pre, Post, PreMlp, PostMlp]),
            NormPlace.After => (null, Post, null, PostMlp, [Post, PostMlp]),
            _ => (Pre, null, Post, null, [Pre, Post]),
        };
    }

    private static LayerWeights ReadLayer(ModelConfig config, Func<string, Tensor> read)
    {
        var norms = NormNames(config);
        return new LayerWeights
        {
            AttentionNormWeight = Norm(norms.Attention),
            QueryKeyValueWeight = Layout.Transposed(() => Layout.Joined(read, "self_attn", "weight")),
            QueryKeyValueBias = config.QueryKeyValueBias ? Layout.Kept(() => Layout.Joined(read, "self_attn", "bias")) : null,
            QueryNormWeight = config.QueryKeyNorm == QueryKeyNorm.None ? null : read("self_attn.q_norm.weight"),
            KeyNormWeight = config.QueryKeyNorm == QueryKeyNorm.None ? null : read("self_attn.k_norm.weight"),
            OutputWeight = Layout.Transposed(() => Written("self_attn.o_proj.weight")),
            OutputBias = config.OutputBias ? Layout.Kept(() => Written("self_attn.o_proj.bias")) : null,
            AttentionOutNormWeight = Norm(norms.AttentionOut),
            MlpNormWeight = Norm(norms.Mlp),
            MlpGateWeight = Layout.Transposed(() => read("mlp.gate_proj.weight")),
            MlpGateBias = config.MlpBias ? read("mlp.gate_proj.bias") : null,
            MlpInWeight = Layout.Transposed(() => read("mlp.up_proj.weight")),
            MlpInBias = config.MlpBias ? read("mlp.up_proj.bias") : null,
            MlpOutWeight = Layout.Transposed(() => Written("mlp.down_proj.weight")),
            MlpOutBias = config.MlpBias ? Layout.Kept(() => Written("mlp.down_proj.bias")) : null,
            MlpOutNormWeight = Norm(norms.MlpOut),
        };

        Tensor? Norm(string? name) => name is null ? null : read(name);

        Tensor Written(string name) => config.WrittenScale == 1 ? read(name) : read(name) * tensor(config.WrittenScale);
    }
}
