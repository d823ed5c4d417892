using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>Replaces a head's query vectors. z' = softmax(q' k^T / sqrt(d_head)) v.</summary>
public sealed class ReplaceQ : IIntervention
{
    /// <inheritdoc/>
    public string Hook => "attn.hook_q";

    /// <inheritdoc/>
    public bool OnlyOwnPosition => true;

    /// <inheritdoc/>
    public Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, IReadOnlyList<int>? positions, int start) =>
        model.Attend(layer, Replacement.At(source.Q.From(start), patched.Q.From(start), positions, start), patched.K, patched.V);
}
