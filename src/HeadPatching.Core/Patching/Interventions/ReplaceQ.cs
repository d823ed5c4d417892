using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Caching;
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
    public bool ReachesOtherHeads(ModelConfig config) => config.QueryKeyNorm == QueryKeyNorm.AllHeads;

    /// <inheritdoc/>
    public Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start) =>
        model.Attend(layer, Replacement.At(source.Q(start), patched.Q(start), where?.From(start)), patched.KeysValues.K, patched.KeysValues.V);
}
