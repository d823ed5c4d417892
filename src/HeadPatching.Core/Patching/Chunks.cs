using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>Splits the pairs of a sweep into chunks that run as one batch: the same pairs give the same chunks, always.</summary>
public static class Chunks
{
    /// <summary>
    /// Splits pairs into chunks. Pairs of a chunk have one length, so no padding is ever computed; those that first differ at
    /// about the same position stand together, since a chunk is recomputed from its earliest difference on.
    /// </summary>
    /// <param name="pairs">The pairs of the sweep.</param>
    /// <param name="config">The model's shape.</param>
    /// <param name="dtype">The model's type.</param>
    /// <param name="budget">Bounds how many pairs go into a chunk.</param>
    /// <returns>The chunks, each of at least one pair; every pair is in exactly one.</returns>
    public static IReadOnlyList<IReadOnlyList<TokenPair>> Split(IReadOnlyList<TokenPair> pairs, ModelConfig config, ScalarType dtype, MemoryBudget budget) =>
    [
        .. pairs
            .GroupBy(pair => pair.Length)
            .OrderBy(group => group.Key)
            .SelectMany(group => group
                .OrderBy(pair => pair.FirstDifference)
                .ThenBy(pair => pair.Index)
                .Chunk(budget.PairsPerChunk(config, dtype, group.Key))),
    ];
}
