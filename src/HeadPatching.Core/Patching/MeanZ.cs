using HeadPatching.Core.Native;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>
/// The mean of a layer's z over a dataset, position by position counted from the first token: at each position over the pairs that are
/// long enough to have it. Sums are kept in float64.
/// </summary>
public sealed class MeanZ : IDisposable
{
    private readonly Tensor _sum;                                             // [heads, longest, d_head]
    private readonly long[] _counts;                                          // pairs that have each position

    /// <summary>Starts with no pair.</summary>
    public MeanZ(int heads, int longest, int headWidth)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        _sum = zeros(heads, longest, headWidth, dtype: ScalarType.Float64).DetachFromDisposeScope();
        _counts = new long[longest];
    }

    /// <summary>Adds a chunk of pairs of one length.</summary>
    /// <param name="z">[pairs, heads, position, d_head]</param>
    public void Add(Tensor z)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        int length = (int)z.shape[2];
        _sum.narrow(1, 0, length).AddInPlace(z.to(ScalarType.Float64).sum(dim: 0).cpu());
        for (int position = 0; position < length; position++)
        {
            _counts[position] += z.shape[0];
        }
    }

    /// <summary>The means, 0 at positions that no pair has, [heads, longest, d_head] float64.</summary>
    public Tensor Mean()
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor counts = tensor([.. _counts.Select(count => (double)Math.Max(count, 1))]).unsqueeze(-1); // [longest, 1]
        return (_sum / counts).DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => _sum.Dispose();
}
