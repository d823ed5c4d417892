using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families.Weights;

/// <summary>
/// gpt-oss's tensors in a Hugging Face weights file: a Llama's attention with sinks, and experts whose gate and other half are columns in turn.
/// Published checkpoints hold the experts in MXFP4 (<see cref="Mxfp4"/>), transposed.
/// </summary>
internal static class GptOssWeights
{
    public static TensorNames Names { get; } = new(["model."], "layers.", "embed_tokens.weight", "lm_head.weight", []) { Bytes = ["_blocks", "_scales"], Wide = ["mlp.router."] };

    public static TransformerWeights Read(ModelConfig config, Func<string, Tensor> read, LayersOf layers)
    {
        Tensor embedding = read("embed_tokens.weight");
        return new TransformerWeights
        {
            TokenEmbedding = embedding,
            Layers = layers(l => ReadLayer(config, embedding.dtype, name => read($"layers.{l}.{name}"))),
            FinalNormWeight = read("norm.weight"),
            Unembedding = config.TiedUnembedding ? embedding : read("lm_head.weight"),
        };
    }

    public static Dictionary<string, long[]> Shapes(ModelConfig config)
    {
        long width = config.Width, mlp = config.MlpWidth, q = config.Heads * config.HeadWidth, k = config.KeyValueHeads * config.HeadWidth;
        long experts = config.Experts!.Count;
        var shapes = new Dictionary<string, long[]>
        {
            ["embed_tokens.weight"] = [config.Vocabulary, width],
            ["norm.weight"] = [width],
        };
        for (int l = 0; l < config.Layers; l++)
        {
            (string Name, long[] Shape)[] layer =
            [
                ("input_layernorm.weight", [width]),
                .. LlamaWeights.Linear("self_attn.q_proj", width, q, config.QueryKeyValueBias),
                .. LlamaWeights.Linear("self_attn.k_proj", width, k, config.QueryKeyValueBias),
                .. LlamaWeights.Linear("self_attn.v_proj", width, k, config.QueryKeyValueBias),
                .. LlamaWeights.Linear("self_attn.o_proj", q, width, config.OutputBias),
                ("self_attn.sinks", [config.Heads]),
                ("post_attention_layernorm.weight", [width]),
                .. LlamaWeights.Linear("mlp.router", width, experts, hasBias: true),
                .. Matrix("mlp.experts.gate_up_proj", width, 2 * mlp),
                ("mlp.experts.gate_up_proj_bias", [experts, 2 * mlp]),
                .. Matrix("mlp.experts.down_proj", mlp, width),
                ("mlp.experts.down_proj_bias", [experts, width]),
            ];
            foreach (var (name, shape) in layer)
            {
                shapes[$"layers.{l}.{name}"] = shape;
            }
        }

        if (!config.TiedUnembedding)
        {
            shapes["lm_head.weight"] = [config.Vocabulary, width];
        }

        return shapes;

        (string Name, long[] Shape)[] Matrix(string name, long inputs, long outputs) => config.Experts.Packed
            ? [(name + "_blocks", [experts, outputs, inputs / Mxfp4.Block, Mxfp4.Block / 2]), (name + "_scales", [experts, outputs, inputs / Mxfp4.Block])]
            : [(name, [experts, inputs, outputs])];
    }

    private static LayerWeights ReadLayer(ModelConfig config, ScalarType dtype, Func<string, Tensor> read)
    {
        var (gate, up) = GateAndUp();
        var (gateBias, upBias) = GateAndUpBias();
        return new LayerWeights
        {
            AttentionNormWeight = read("input_layernorm.weight"),
            QueryKeyValueWeight = Layout.Transposed(() => Layout.Joined(read, "self_attn", "weight")),
            QueryKeyValueBias = config.QueryKeyValueBias ? Layout.Kept(() => Layout.Joined(read, "self_attn", "bias")) : null,
            Sinks = read("self_attn.sinks"),
            OutputWeight = Layout.Transposed(() => read("self_attn.o_proj.weight")),
            OutputBias = config.OutputBias ? read("self_attn.o_proj.bias") : null,
            MlpNormWeight = read("post_attention_layernorm.weight"),
            RouterWeight = Layout.Transposed(() => read("mlp.router.weight")),
            RouterBias = read("mlp.router.bias"),
            MlpGateWeight = gate,
            MlpGateBias = gateBias,
            MlpInWeight = up,
            MlpInBias = upBias,
            MlpOutWeight = Layout.TransposedInMemory(() => ByExpert("mlp.experts.down_proj")),
            MlpOutBias = read("mlp.experts.down_proj_bias"),
        };

        // [experts, d_model, d_mlp] each
        (Tensor Gate, Tensor Up) GateAndUp()
        {
            using var scope = NewDisposeScope();
            Tensor[] parts = [.. ByExpert("mlp.experts.gate_up_proj").unflatten(2, [config.MlpWidth, 2]).unbind(3)];
            return (Layout.TransposedInMemory(() => parts[0]).MoveToOuterDisposeScope(), Layout.TransposedInMemory(() => parts[1]).MoveToOuterDisposeScope());
        }

        // [experts, d_mlp] each
        (Tensor Gate, Tensor Up) GateAndUpBias()
        {
            using var scope = NewDisposeScope();
            Tensor[] parts = [.. read("mlp.experts.gate_up_proj_bias").unflatten(1, [config.MlpWidth, 2]).unbind(2)];
            return (parts[0].contiguous().MoveToOuterDisposeScope(), parts[1].contiguous().MoveToOuterDisposeScope());
        }

        // [experts, in, out]
        Tensor ByExpert(string name) => config.Experts!.Packed ? Mxfp4.Unpack(read(name + "_blocks"), read(name + "_scales"), dtype).transpose(1, 2) : read(name);
    }
}

/// <summary>
/// The microscaling format of 4 bits (OCP Microscaling Formats specification 1.0, MXFP4): blocks of 32 numbers of 1 sign, 2 exponent and 1
/// mantissa bits (E2M1), two a byte, low half first, with a power of two (E8M0, bias 127) for each block.
/// </summary>
internal static class Mxfp4
{
    /// <summary>How many numbers share a scale.</summary>
    public const int Block = 32;

    private const int ScaleBias = 127;

    private static readonly double[] Numbers = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6];

    /// <summary>The numbers.</summary>
    /// <param name="blocks">[matrices, rows, blocks, 16] bytes</param>
    /// <param name="scales">[matrices, rows, blocks] bytes</param>
    /// <param name="dtype">The type of the result, in which all of them are exact: bfloat16, float32 or float64; float16 where scales are not beyond it.</param>
    /// <returns>[matrices, rows, blocks * 32]</returns>
    public static Tensor Unpack(Tensor blocks, Tensor scales, ScalarType dtype)
    {
        if (blocks.device_type == DeviceType.META)
        {
            return empty([blocks.shape[0], blocks.shape[1], blocks.shape[2] * Block], dtype: dtype, device: blocks.device);
        }

        Tensor unpacked = empty([blocks.shape[0], blocks.shape[1], blocks.shape[2] * Block], dtype: dtype, device: blocks.device);
        Tensor numbers = tensor(Numbers, dtype: dtype, device: blocks.device);
        for (int matrix = 0; matrix < blocks.shape[0]; matrix++)
        {
            using var scope = NewDisposeScope();                              // a matrix at a time: indices take sixteen times the bytes
            Tensor bytes = blocks[matrix].to(ScalarType.Int64);               // [rows, blocks, 16]
            Tensor halves = stack([bytes.bitwise_and(tensor(15L)), bytes.bitwise_right_shift(tensor(4L))], -1); // [rows, blocks, 16, 2]
            Tensor ofBlocks = numbers.index_select(0, halves.flatten()).reshape(blocks.shape[1], blocks.shape[2], Block); // [rows, blocks, 32]
            Tensor powers = (scales[matrix].to(ScalarType.Float64) - tensor((double)ScaleBias)).exp2().to(dtype).unsqueeze(-1); // [rows, blocks, 1]
            unpacked[matrix].copy_((ofBlocks * powers).flatten(1));
        }

        return unpacked;
    }
}
