using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Caching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>Replaces a head's value vectors. z' = pattern v'.</summary>
public sealed class ReplaceV : IIntervention
{
    /// <inheritdoc/>
    public string Hook => "attn.hook_v";

    /// <inheritdoc/>
    public bool OnlyOwnPosition => false;

    /// <inheritdoc/>
    public bool OfKeyValueHeads => true;

    /// <inheritdoc/>
    public Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start) =>
        model.Attend(layer, patched.Q(start), patched.KeysValues.K, Replacement.At(source.KeysValues.V, patched.KeysValues.V, where));
}
