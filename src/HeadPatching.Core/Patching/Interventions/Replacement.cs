using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>What the interventions have in common.</summary>
internal static class Replacement
{
    /// <summary>The source activation at one position or at all, the patched run's elsewhere.</summary>
    /// <param name="source">[pairs, heads, position, ..]</param>
    /// <param name="patched">[pairs, heads, position, ..]</param>
    /// <param name="position">The one position, counted within the two tensors, or null for all.</param>
    public static Tensor At(Tensor source, Tensor patched, int? position)
    {
        if (position is not int p)
        {
            return source;
        }

        Tensor replaced = patched.clone();
        replaced.select(2, p).copy_(source.select(2, p));
        return replaced;
    }

    /// <summary>The tensor's positions from <paramref name="start"/> on.</summary>
    public static Tensor From(this Tensor tensor, int start) => tensor.narrow(2, start, tensor.shape[2] - start);
}
