using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Caching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>Replaces a head's key vectors. z' = softmax(q k'^T / sqrt(d_head)) v.</summary>
public sealed class ReplaceK : IIntervention
{
    /// <inheritdoc/>
    public string Hook => "attn.hook_k";

    /// <inheritdoc/>
    public bool OnlyOwnPosition => false;

    /// <inheritdoc/>
    public bool OfKeyValueHeads => true;

    /// <inheritdoc/>
    public bool ReachesOtherHeads(ModelConfig config) => config.QueryKeyNorm == QueryKeyNorm.AllHeads;

    /// <inheritdoc/>
    public Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start) =>
        model.Attend(layer, patched.Q(start), Replacement.At(source.KeysValues.K, patched.KeysValues.K, where), patched.KeysValues.V);
}
