using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>Replaces a head's output before W_O.</summary>
public sealed class ReplaceZ : IIntervention
{
    /// <inheritdoc/>
    public string Hook => "attn.hook_z";

    /// <inheritdoc/>
    public bool OnlyOwnPosition => true;

    /// <inheritdoc/>
    public Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, IReadOnlyList<int>? positions, int start) =>
        Replacement.At(source.Z.From(start), patched.Z.From(start), positions, start);
}
