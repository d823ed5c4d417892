using HeadPatching.Core.Models;

namespace HeadPatching.DemoModel;

/// <summary>The demo model's shape: a very small GPT-2.</summary>
public static class DemoModelShape
{
    /// <summary>The shape with a vocabulary of this many tokens.</summary>
    /// <param name="vocabulary">Number of tokens.</param>
    /// <param name="bosId">The token that begins every text.</param>
    public static ModelConfig Of(int vocabulary, int bosId)
    {
        const int Heads = 8;
        const int Width = 96;
        return new ModelConfig
        {
            Family = "gpt2",
            Layers = 3,
            Heads = Heads,
            KeyValueHeads = Heads,
            HeadWidth = Width / Heads,
            Width = Width,
            MlpWidth = 4 * Width,
            Context = 64,
            Vocabulary = vocabulary,
            NormEpsilon = 1e-5,
            Activation = Activation.GeluTanh,
            BosId = bosId,
            TiedUnembedding = true,
        };
    }
}
