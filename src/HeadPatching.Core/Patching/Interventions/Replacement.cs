using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>What the interventions have in common.</summary>
internal static class Replacement
{
    /// <summary>The source activation at one position of each pair or at all, the patched run's elsewhere.</summary>
    /// <param name="source">[pairs, .., position, width]</param>
    /// <param name="patched">Of the same shape.</param>
    /// <param name="positions">The one position of each pair, or null for all; one before <paramref name="start"/> (-1: none) replaces nothing.</param>
    /// <param name="start">The position that the two tensors begin with.</param>
    public static Tensor At(Tensor source, Tensor patched, IReadOnlyList<int>? positions, int start = 0)
    {
        if (positions is null)
        {
            return source;
        }

        long pairs = source.shape[0], count = source.shape[^2];
        bool[] replaced = new bool[pairs * count];
        for (int pair = 0; pair < pairs; pair++)
        {
            if (positions[pair] >= start)
            {
                replaced[(pair * count) + positions[pair] - start] = true;
            }
        }

        // [pairs, 1, .., count, 1]
        long[] shape = [pairs, .. Enumerable.Repeat(1L, source.shape.Length - 3), count, 1];
        return where(tensor(replaced, device: source.device).reshape(shape), source, patched);
    }

    /// <summary>The tensor's positions from <paramref name="start"/> on.</summary>
    public static Tensor From(this Tensor tensor, int start) => tensor.narrow(2, start, tensor.shape[2] - start);
}
