using HeadPatching.Core.Native;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>The cosines and sines of a model's rotary embedding, made once for every position it can have.</summary>
internal sealed class RotaryTable : IDisposable
{
    private readonly Rotary _rotary;
    private readonly (Tensor Cosines, Tensor Sines) _short;  // each [positions, width / 2]
    private readonly (Tensor Cosines, Tensor Sines)? _long;  // where prompts beyond the original context are turned otherwise

    /// <summary>Makes the tables. They are computed in float32, as transformers does, and only for a float64 model in float64.</summary>
    public RotaryTable(Rotary rotary, int context, ScalarType dtype, Device device)
    {
        ScalarType exact = dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        _rotary = rotary;
        using var mode = no_grad();
        using var scope = NewDisposeScope();
        Tensor frequencies = Frequencies(rotary, exact);                      // [width / 2]
        if (rotary.PairFactors is { } factors)
        {
            _short = Table(frequencies / tensor([.. factors.Within], dtype: exact), Math.Min(context, factors.OriginalContext));
            _long = context > factors.OriginalContext ? Table(frequencies / tensor([.. factors.Beyond], dtype: exact), context) : null;
        }
        else
        {
            _short = Table(frequencies, context);
        }

        (Tensor Cosines, Tensor Sines) Table(Tensor perPosition, int count)
        {
            Tensor positions = tensor([.. Enumerable.Range(0, count).Select(position => (double)position)], dtype: exact);
            Tensor angles = positions.unsqueeze(1) * perPosition;             // [positions, width / 2]
            return (Scaled(angles.cos()), Scaled(angles.sin()));
        }

        Tensor Scaled(Tensor x) => (rotary.Scale == 1 ? x : x * tensor(rotary.Scale)).to(dtype, device).DetachFromDisposeScope();
    }

    /// <summary>Turns queries or keys of positions that follow each other.</summary>
    /// <param name="x">[.., position, d_head]</param>
    /// <param name="first">The position of the first of them in the prompt.</param>
    /// <param name="promptLength">Positions of the prompt.</param>
    /// <returns>[.., position, d_head], a tensor of its own</returns>
    public Tensor Rotate(Tensor x, long first, long promptLength)
    {
        var (allCosines, allSines) = _long is { } other && promptLength > _rotary.PairFactors!.OriginalContext ? other : _short;
        long half = _rotary.Width / 2, rest = x.shape[^1] - _rotary.Width;
        Tensor cosines = allCosines.narrow(0, first, x.shape[^2]), sines = allSines.narrow(0, first, x.shape[^2]); // [position, width / 2]
        if (_rotary.Interleaved)
        {
            Tensor pairs = x.narrow(-1, 0, _rotary.Width).unflatten(x.dim() - 1, [half, 2]); // [.., position, width / 2, 2]
            var (even, odd) = Turn(pairs.select(-1, 0), pairs.select(-1, 1));
            Tensor turned = stack([even, odd], -1).flatten(-2, -1);           // [.., position, width]
            return rest == 0 ? turned : cat([turned, x.narrow(-1, _rotary.Width, rest)], -1);
        }

        var (a, b) = Turn(x.narrow(-1, 0, half), x.narrow(-1, half, half));   // [.., position, width / 2]
        return rest == 0 ? cat([a, b], -1) : cat([a, b, x.narrow(-1, _rotary.Width, rest)], -1);

        (Tensor A, Tensor B) Turn(Tensor a, Tensor b) =>
            (a.mul(cosines).addcmul_(b, sines, Sums.MinusOne), b.mul(cosines).addcmul_(a, sines, Sums.One));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _short.Cosines.Dispose();
        _short.Sines.Dispose();
        _long?.Cosines.Dispose();
        _long?.Sines.Dispose();
    }

    /// <summary>The angle from one position to the next, in radians, of each pair: [width / 2].</summary>
    private static Tensor Frequencies(Rotary rotary, ScalarType dtype)
    {
        Tensor places = tensor([.. Enumerable.Range(0, rotary.Width / 2).Select(pair => 2.0 * pair)], dtype: dtype);
        Tensor exponents = places / tensor((double)rotary.Width);
        Tensor frequencies = tensor(1.0) / tensor(rotary.Base, dtype: dtype).pow(exponents);
        if (rotary.Ramp is { } ramp)
        {
            Tensor pair = places / tensor(2.0), from = tensor(ramp.From), width = tensor(ramp.To - ramp.From);
            Tensor divided = ((pair - from) / width).clamp(tensor(0.0), tensor(1.0)); // [width / 2]
            return (divided * frequencies / tensor(rotary.Factor)).Plus((tensor(1.0) - divided) * frequencies);
        }

        if (rotary.Bands is not { } bands)
        {
            return frequencies / tensor(rotary.Factor);
        }

        Tensor turns = frequencies * tensor(bands.OriginalContext / (2 * Math.PI)); // over the original context
        Tensor kept = ((turns - tensor(bands.LowFrequencyFactor)) / tensor(bands.HighFrequencyFactor - bands.LowFrequencyFactor)).clamp(tensor(0.0), tensor(1.0));
        return ((tensor(1.0) - kept) * frequencies / tensor(rotary.Factor)).Plus(kept * frequencies);
    }
}
