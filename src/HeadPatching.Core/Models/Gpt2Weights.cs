using HeadPatching.Core.Faults;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>GPT-2's tensors in a Hugging Face weights file: their names, their shapes, and where each goes.</summary>
internal static class Gpt2Weights
{
    /// <summary>Says what is missing or of another shape than config.json makes it.</summary>
    public static IReadOnlyList<Fault> Check(WeightFiles files, ModelConfig config) =>
        [.. Shapes(config).Select(tensor => files.Check(FileName(files, tensor.Key), tensor.Value)).OfType<Fault>()];

    /// <summary>Reads every tensor, in <paramref name="dtype"/> on <paramref name="device"/>.</summary>
    /// <exception cref="InvalidInputException">A tensor is missing or has another shape than config.json says.</exception>
    public static TransformerWeights Read(WeightFiles files, ModelConfig config, ScalarType dtype, Device device)
    {
        Dictionary<string, long[]> shapes = Shapes(config);
        Tensor embedding = Tensor("wte.weight");
        return new TransformerWeights
        {
            TokenEmbedding = embedding,
            PositionEmbedding = Tensor("wpe.weight"),
            Layers = [.. Enumerable.Range(0, config.Layers).Select(Layer)],
            FinalNormWeight = Tensor("ln_f.weight"),
            FinalNormBias = Tensor("ln_f.bias"),
            Unembedding = config.TiedUnembedding ? embedding : Tensor("lm_head.weight"),
        };

        LayerWeights Layer(int l) => new()
        {
            AttentionNormWeight = Tensor($"h.{l}.ln_1.weight"),
            AttentionNormBias = Tensor($"h.{l}.ln_1.bias"),
            QueryKeyValueWeight = Tensor($"h.{l}.attn.c_attn.weight"),
            QueryKeyValueBias = Tensor($"h.{l}.attn.c_attn.bias"),
            OutputWeight = Tensor($"h.{l}.attn.c_proj.weight"),
            OutputBias = Tensor($"h.{l}.attn.c_proj.bias"),
            MlpNormWeight = Tensor($"h.{l}.ln_2.weight"),
            MlpNormBias = Tensor($"h.{l}.ln_2.bias"),
            MlpInWeight = Tensor($"h.{l}.mlp.c_fc.weight"),
            MlpInBias = Tensor($"h.{l}.mlp.c_fc.bias"),
            MlpOutWeight = Tensor($"h.{l}.mlp.c_proj.weight"),
            MlpOutBias = Tensor($"h.{l}.mlp.c_proj.bias"),
        };

        Tensor Tensor(string name) => files.Read(FileName(files, name), shapes[name], dtype, device);
    }

    private static Dictionary<string, long[]> Shapes(ModelConfig config)
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

    /// <summary>Files saved from GPT2LMHeadModel prefix all but the unembedding with "transformer.", files saved from GPT2Model do not.</summary>
    private static string FileName(WeightFiles files, string name) =>
        name != "lm_head.weight" && files.Has("transformer.wte.weight") ? "transformer." + name : name;
}
