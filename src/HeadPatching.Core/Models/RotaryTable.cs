using HeadPatching.Core.Native;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>The cosines and sines of a model's rotary embedding, made once for every position it can have.</summary>
internal sealed class RotaryTable : IDisposable
{
    private readonly int _width;
    private readonly Tensor _cosines; // [context, width / 2]
    private readonly Tensor _sines;   // [context, width / 2]

    /// <summary>Makes the tables. They are computed in float32, as transformers does, and only for a float64 model in float64.</summary>
    public RotaryTable(Rotary rotary, int context, ScalarType dtype, Device device)
    {
        ScalarType exact = dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        _width = rotary.Width;
        using var mode = no_grad();
        using var scope = NewDisposeScope();
        Tensor positions = tensor([.. Enumerable.Range(0, context).Select(position => (double)position)], dtype: exact);
        Tensor angles = positions.unsqueeze(1) * Frequencies(rotary, exact);  // [context, width / 2]
        _cosines = angles.cos().to(dtype, device).DetachFromDisposeScope();
        _sines = angles.sin().to(dtype, device).DetachFromDisposeScope();
    }

    /// <summary>Turns queries or keys of positions that follow each other.</summary>
    /// <param name="x">[.., position, d_head]</param>
    /// <param name="first">The position of the first of them in the prompt.</param>
    /// <returns>[.., position, d_head], a tensor of its own</returns>
    public Tensor Rotate(Tensor x, long first)
    {
        long half = _width / 2, rest = x.shape[^1] - _width;
        Tensor cosines = _cosines.narrow(0, first, x.shape[^2]), sines = _sines.narrow(0, first, x.shape[^2]); // [position, width / 2]
        Tensor a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);       // [.., position, width / 2]
        Tensor turnedA = a.mul(cosines).addcmul_(b, sines, Sums.MinusOne);
        Tensor turnedB = b.mul(cosines).addcmul_(a, sines, Sums.One);
        return rest == 0 ? cat([turnedA, turnedB], -1) : cat([turnedA, turnedB, x.narrow(-1, _width, rest)], -1);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _cosines.Dispose();
        _sines.Dispose();
    }

    /// <summary>The angle from one position to the next, in radians, of each pair: [width / 2].</summary>
    private static Tensor Frequencies(Rotary rotary, ScalarType dtype)
    {
        Tensor places = tensor([.. Enumerable.Range(0, rotary.Width / 2).Select(pair => 2.0 * pair)], dtype: dtype);
        Tensor exponents = places / tensor((double)rotary.Width);
        Tensor frequencies = tensor(1.0) / tensor(rotary.Base, dtype: dtype).pow(exponents);
        if (rotary.Bands is not { } bands)
        {
            return frequencies / tensor(rotary.Factor);
        }

        Tensor turns = frequencies * tensor(bands.OriginalContext / (2 * Math.PI)); // over the original context
        Tensor kept = ((turns - tensor(bands.LowFrequencyFactor)) / tensor(bands.HighFrequencyFactor - bands.LowFrequencyFactor)).clamp(tensor(0.0), tensor(1.0));
        return ((tensor(1.0) - kept) * frequencies / tensor(rotary.Factor)).Plus(kept * frequencies);
    }
}
