using HeadPatching.Core.Models.Families.Configs;
using HeadPatching.Core.Models.Families.Weights;
using HeadPatching.Core.Native;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families;

/// <summary>The layers of a model, given what reads one of them: all at once, or each when it is used.</summary>
internal delegate IReadOnlyList<LayerWeights> LayersOf(Func<int, LayerWeights> read);

/// <summary>Puts a family's tensors in their places.</summary>
internal delegate TransformerWeights ReadWeights(ModelConfig config, Func<string, TorchSharp.torch.Tensor> read, LayersOf layers);

/// <summary>
/// What one family of architectures has of its own: how its config.json is read, what its tensors are called, and where each goes. A
/// further family is one more line in <see cref="All"/>, a reader and a mapping; the forward pass (<see cref="Transformer"/>) is shared.
/// </summary>
/// <param name="ReadConfig">Reads a config.json of the family.</param>
/// <param name="Names">How its tensors are named in weights files.</param>
/// <param name="Shapes">Every tensor that a model of a config has, by its name without the prefix, and its shape in the file.</param>
/// <param name="Read">Puts the tensors in their places, given what reads one of <paramref name="Shapes"/> by its name, and how layers are come by.</param>
internal sealed record ModelFamily(
    Func<ConfigFields, ModelConfig> ReadConfig,
    TensorNames Names,
    Func<ModelConfig, Dictionary<string, long[]>> Shapes,
    ReadWeights Read)
{
    private static readonly ModelFamily Llama = new(LlamaConfigReader.ReadLlama, LlamaWeights.Names, LlamaWeights.Shapes, LlamaWeights.Read);

    private static readonly ModelFamily Gemma = Llama with { Read = (config, read, layers) => LlamaWeights.Read(config, WithNorms(read), layers) };

    /// <summary>The families by <c>model_type</c>.</summary>
    public static IReadOnlyDictionary<string, ModelFamily> All { get; } = new Dictionary<string, ModelFamily>(StringComparer.Ordinal)
    {
        ["gpt2"] = new(Gpt2ConfigReader.Read, Gpt2Weights.Names, Gpt2Weights.Shapes, Gpt2Weights.Read),
        ["gpt_neox"] = new(GptNeoxConfigReader.Read, GptNeoxWeights.Names, GptNeoxWeights.Shapes, GptNeoxWeights.Read),
        ["llama"] = Llama,
        ["mistral"] = Llama with { ReadConfig = LlamaConfigReader.ReadMistral },
        ["qwen2"] = Llama with { ReadConfig = LlamaConfigReader.ReadQwen2 },
        ["qwen3"] = Llama with { ReadConfig = LlamaConfigReader.ReadQwen3 },
        ["gemma2"] = Gemma with { ReadConfig = GemmaConfigReader.ReadGemma2 },
        ["gemma3_text"] = Gemma with { ReadConfig = GemmaConfigReader.ReadGemma3Text },
        ["gemma3"] = Gemma with
        {
            ReadConfig = GemmaConfigReader.ReadGemma3,
            Names = LlamaWeights.Names with { Prefixes = ["language_model.model.", "model.language_model."] },
        },
        ["olmo2"] = Llama with { ReadConfig = LlamaConfigReader.ReadOlmo2 },
        ["phi3"] = new(LlamaConfigReader.ReadPhi3, LlamaWeights.Names, Phi3Weights.Shapes, Phi3Weights.Read),
        ["gptj"] = new(GptjConfigReader.Read, GptjWeights.Names, GptjWeights.Shapes, GptjWeights.Read),
        ["opt"] = new(OptConfigReader.Read, OptWeights.Names, OptWeights.Shapes, OptWeights.Read),
        ["gpt_oss"] = new(GptOssConfigReader.Read, GptOssWeights.Names, GptOssWeights.Shapes, GptOssWeights.Read),
        ["granite"] = Llama with { ReadConfig = LlamaConfigReader.ReadGranite },
    };

    /// <summary>The type of a tensor in memory: a matrix has the model's, a vector or another of <see cref="TensorNames.Wide"/> the stream's.</summary>
    /// <param name="name">Its name, without the prefix.</param>
    /// <param name="shape">Its shape in the file.</param>
    /// <param name="dtype">The model's type.</param>
    public ScalarType TypeOf(string name, long[] shape, ScalarType dtype)
    {
        bool isMatrix = shape.Length > 1 && !name.EndsWith("bias", StringComparison.Ordinal) && !Names.Wide.Any(part => name.Contains(part, StringComparison.Ordinal));
        return isMatrix ? dtype : dtype.OfStream();
    }

    /// <summary>The tensors, norms' scales among them with the 1 that the family leaves off when it stores them.</summary>
    private static Func<string, Tensor> WithNorms(Func<string, Tensor> read) =>
        name => name.EndsWith("norm.weight", StringComparison.Ordinal) ? Layout.Kept(() => read(name).Plus(tensor(1.0))) : read(name);
}
