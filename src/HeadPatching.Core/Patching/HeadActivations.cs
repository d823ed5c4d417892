using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Interventions;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>One layer's activations of one run (the clean or the corrupted one) over a chunk of pairs: what patching that layer needs.</summary>
/// <param name="ResidPre">The residual stream before the layer, [pairs, position, d_model]; the rest of the layer follows from it and z.</param>
/// <param name="Q">hook_q, [pairs, heads, position, d_head].</param>
/// <param name="K">hook_k, [pairs, key/value heads, position, d_head].</param>
/// <param name="V">hook_v, [pairs, key/value heads, position, d_head].</param>
/// <param name="Z">hook_z, [pairs, heads, position, d_head] (heads before positions, which TransformerLens has the other way round).</param>
public sealed record HeadActivations(Tensor ResidPre, Tensor Q, Tensor K, Tensor V, Tensor Z) : IDisposable
{
    /// <summary>The tensors under the names that they have in an activation file.</summary>
    public IReadOnlyList<(string Name, Tensor Tensor)> Named() =>
        [("resid_pre", ResidPre), ("q", Q), ("k", K), ("v", V), ("z", Z)];

    /// <summary>The residual stream at a point of the layer, from a position on, [pairs, positions from <paramref name="start"/>, d_model].</summary>
    public Tensor Stream(Transformer model, int layer, StreamPoint point, int start)
    {
        Tensor pre = ResidPre.narrow(1, start, ResidPre.shape[1] - start);
        if (point == StreamPoint.Pre)
        {
            return pre;
        }

        Tensor mid = pre.Plus(model.AttentionOut(layer, Z.From(start)));
        return point == StreamPoint.Mid ? mid : mid.Plus(model.MlpOut(layer, model.Config.ParallelResidual ? pre : mid));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, tensor) in Named())
        {
            tensor.Dispose();
        }
    }
}
