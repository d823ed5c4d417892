using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>One layer's activations of one run (the clean or the corrupted one) over a chunk of pairs: what patching that layer needs.</summary>
/// <param name="ResidMid">The residual stream after attention, before the MLP, [pairs, position, d_model].</param>
/// <param name="Q">hook_q, [pairs, heads, position, d_head].</param>
/// <param name="K">hook_k, [pairs, heads, position, d_head].</param>
/// <param name="V">hook_v, [pairs, heads, position, d_head].</param>
/// <param name="Z">hook_z, [pairs, heads, position, d_head] (heads before positions, which TransformerLens has the other way round).</param>
public sealed record HeadActivations(Tensor ResidMid, Tensor Q, Tensor K, Tensor V, Tensor Z) : IDisposable
{
    /// <summary>The tensors under the names that they have in an activation file.</summary>
    public IReadOnlyList<(string Name, Tensor Tensor)> Named() =>
        [("resid_mid", ResidMid), ("q", Q), ("k", K), ("v", V), ("z", Z)];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, tensor) in Named())
        {
            tensor.Dispose();
        }
    }
}
