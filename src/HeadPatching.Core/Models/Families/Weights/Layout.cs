using HeadPatching.Core.Native;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families.Weights;

/// <summary>Brings stored tensors into the layout of <see cref="LayerWeights"/>, and frees what that leaves over.</summary>
internal static class Layout
{
    /// <summary>A matrix as PyTorch's Linear stores it, seen as [in, out]; in memory it stays [out, in], as <see cref="MatrixProduct"/> wants it.</summary>
    public static Tensor Transposed(Func<Tensor> stored) => Kept(() => stored().contiguous().t());

    /// <summary>Matrices that are stored [.., in, out], brought into such memory.</summary>
    public static Tensor TransposedInMemory(Func<Tensor> stored) => Kept(() => stored().transpose(-2, -1).contiguous().transpose(-2, -1));

    /// <summary>A part of the projections to q, k and v that are stored apart, one below the other: [(heads + 2 * kv_heads) * d_head, ..].</summary>
    /// <param name="read">Reads a tensor of the layer.</param>
    /// <param name="attention">What the layer's attention is called.</param>
    /// <param name="part"><c>weight</c> or <c>bias</c>.</param>
    public static Tensor Joined(Func<string, Tensor> read, string attention, string part) =>
        cat([read($"{attention}.q_proj.{part}"), read($"{attention}.k_proj.{part}"), read($"{attention}.v_proj.{part}")], 0);

    /// <summary>The one tensor that is made; those it was made of are freed.</summary>
    public static Tensor Kept(Func<Tensor> make)
    {
        using var scope = NewDisposeScope();
        return make().MoveToOuterDisposeScope();
    }
}
