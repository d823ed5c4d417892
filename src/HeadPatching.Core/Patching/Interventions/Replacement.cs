using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>What the interventions have in common.</summary>
internal static class Replacement
{
    /// <summary>The source activation at some positions, the patched run's elsewhere.</summary>
    /// <param name="source">[pairs, heads, position, ..]</param>
    /// <param name="patched">[pairs, heads, position, ..]</param>
    /// <param name="where">Which positions of each pair, [pairs, position] bool, or of which of its heads, [pairs or 1, heads, position]; null for all.</param>
    public static Tensor At(Tensor source, Tensor patched, Tensor? where) =>
        where is null ? source : torch.where((where.dim() == 2 ? where.unsqueeze(1) : where).unsqueeze(-1), source, patched);

    /// <summary>A mask's positions from <paramref name="start"/> on.</summary>
    /// <param name="where">[.., position]</param>
    /// <param name="start">The first position.</param>
    public static Tensor From(this Tensor where, int start) => where.narrow(-1, start, where.shape[^1] - start);
}
