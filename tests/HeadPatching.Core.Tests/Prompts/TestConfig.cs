using HeadPatching.Core.Models;

namespace HeadPatching.Core.Tests.Prompts;

/// <summary>A model as far as prompts see it: vocabulary, context and BOS.</summary>
internal static class TestConfig
{
    public static ModelConfig With(int vocabulary, int? bosId = null, int context = 1024) => new()
    {
        Family = "gpt2",
        Layers = 1,
        Heads = 1,
        KeyValueHeads = 1,
        HeadWidth = 1,
        Width = 1,
        MlpWidth = 1,
        Context = context,
        Vocabulary = vocabulary,
        NormEpsilon = 1e-5,
        Activation = default,
        BosId = bosId,
        TiedUnembedding = true,
    };
}
