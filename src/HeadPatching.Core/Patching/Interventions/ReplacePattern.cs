using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>Replaces a head's softmaxed attention; at one position, the row of that query. z' = pattern' v.</summary>
public sealed class ReplacePattern : IIntervention
{
    /// <inheritdoc/>
    public string Hook => "attn.hook_pattern";

    /// <inheritdoc/>
    public bool OnlyOwnPosition => true;

    /// <inheritdoc/>
    public Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, IReadOnlyList<int>? positions, int start)
    {
        Tensor pattern = Replacement.At(                                      // [pairs, heads, query, key]
            model.Pattern(layer, source.Q.From(start), source.K), model.Pattern(layer, patched.Q.From(start), patched.K), positions, start);
        return model.WeightedValues(pattern, patched.V);
    }
}
