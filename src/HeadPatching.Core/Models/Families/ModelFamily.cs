namespace HeadPatching.Core.Models.Families;

/// <summary>
/// What one family of architectures has of its own: how its config.json is read, what its tensors are called, and where each goes. A
/// further family is one more line in <see cref="All"/>, a reader and a mapping; the forward pass (<see cref="Transformer"/>) is shared.
/// </summary>
/// <param name="ReadConfig">Reads a config.json of the family.</param>
/// <param name="Names">How its tensors are named in weights files.</param>
/// <param name="Shapes">Every tensor that a model of a config has, by its name without the prefix, and its shape in the file.</param>
/// <param name="Read">Puts the tensors in their places, given what reads one of <paramref name="Shapes"/> by its name.</param>
internal sealed record ModelFamily(
    Func<ConfigFields, ModelConfig> ReadConfig,
    TensorNames Names,
    Func<ModelConfig, Dictionary<string, long[]>> Shapes,
    Func<ModelConfig, Func<string, TorchSharp.torch.Tensor>, TransformerWeights> Read)
{
    private static readonly ModelFamily Llama = new(LlamaConfigReader.ReadLlama, LlamaWeights.Names, LlamaWeights.Shapes, LlamaWeights.Read);

    /// <summary>The families by <c>model_type</c>.</summary>
    public static IReadOnlyDictionary<string, ModelFamily> All { get; } = new Dictionary<string, ModelFamily>(StringComparer.Ordinal)
    {
        ["gpt2"] = new(Gpt2ConfigReader.Read, Gpt2Weights.Names, Gpt2Weights.Shapes, Gpt2Weights.Read),
        ["gpt_neox"] = new(GptNeoxConfigReader.Read, GptNeoxWeights.Names, GptNeoxWeights.Shapes, GptNeoxWeights.Read),
        ["llama"] = Llama,
        ["mistral"] = Llama with { ReadConfig = LlamaConfigReader.ReadMistral },
        ["qwen2"] = Llama with { ReadConfig = LlamaConfigReader.ReadQwen2 },
        ["qwen3"] = Llama with { ReadConfig = LlamaConfigReader.ReadQwen3 },
    };
}
