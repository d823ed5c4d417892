using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Caching;
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
    public Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start) =>
        Replacement.At(source.Z(start), patched.Z(start), where?.From(start));
}
