using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Caching;
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
    public Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start)
    {
        Tensor pattern = Replacement.At(                                      // [pairs, heads, query, key]
            model.Pattern(layer, source.Q(start), source.KeysValues.K), model.Pattern(layer, patched.Q(start), patched.KeysValues.K), where?.From(start));
        return model.WeightedValues(pattern, patched.KeysValues.V);
    }
}
