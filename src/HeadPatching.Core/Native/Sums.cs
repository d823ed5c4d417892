using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Core.Native;

/// <summary>
/// Sums of tensors that are safe from the garbage collector. TorchSharp's own <c>a + b</c> is a + 1 * b, with a Scalar 1 that nothing refers
/// to once libtorch has been called: when a collection comes at that moment, it is freed while libtorch reads it, and the call throws.
/// BannedSymbols.txt keeps the project from it, and from numbers that become such a Scalar by themselves (write <c>tensor(2.0)</c>).
/// </summary>
public static class Sums
{
    /// <summary>The number 1, held for good.</summary>
    internal static readonly Scalar One = 1.ToScalar();

    /// <summary>The number -1, held for good.</summary>
    internal static readonly Scalar MinusOne = (-1).ToScalar();

    /// <summary>a + b.</summary>
    public static Tensor Plus(this Tensor a, Tensor b) => a.add(b, One);

    /// <summary>x x, without the Scalar 2 that TorchSharp's own square makes for libtorch.</summary>
    public static Tensor Squared(this Tensor x) => x * x;

    /// <summary>a += b, in a's own memory.</summary>
    /// <returns>a</returns>
    public static Tensor AddInPlace(this Tensor a, Tensor b) => a.add_(b, One);
}
