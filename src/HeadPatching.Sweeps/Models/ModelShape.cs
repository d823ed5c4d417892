using HeadPatching.Core.Models;

namespace HeadPatching.Sweeps.Models;

/// <summary>A model's size in a few numbers.</summary>
/// <param name="Family">Its family, such as <c>gpt2</c>.</param>
/// <param name="Layers">Number of layers.</param>
/// <param name="Heads">Attention heads a layer.</param>
/// <param name="Width">d_model.</param>
/// <param name="Context">The most tokens of a prompt.</param>
/// <param name="Vocabulary">Number of token ids.</param>
/// <param name="Parameters">Number of weights.</param>
public sealed record ModelShape(string Family, int Layers, int Heads, int Width, int Context, int Vocabulary, long Parameters)
{
    /// <summary>The shape of a model in a folder.</summary>
    public static ModelShape Of(ModelFolderSummary model) => new(
        model.Config.Family,
        model.Config.Layers,
        model.Config.Heads,
        model.Config.Width,
        model.Config.Context,
        model.Config.Vocabulary,
        model.Parameters);
}
