using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families;

/// <summary>Brings stored tensors into the layout of <see cref="LayerWeights"/>, and frees what that leaves over.</summary>
internal static class Layout
{
    /// <summary>A matrix as PyTorch's Linear stores it, made [in, out] from [out, in].</summary>
    public static Tensor Transposed(Func<Tensor> stored) => Kept(() => stored().t().contiguous());

    /// <summary>The one tensor that is made; those it was made of are freed.</summary>
    public static Tensor Kept(Func<Tensor> make)
    {
        using var scope = NewDisposeScope();
        return make().MoveToOuterDisposeScope();
    }
}
