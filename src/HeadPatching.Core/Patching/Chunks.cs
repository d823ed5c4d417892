using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>Splits the pairs of a sweep into chunks that run as one batch: the same pairs give the same chunks, always.</summary>
public static class Chunks
{
    /// <summary>A chunk of so many pairs has enough to do: it ends where the first difference changes.</summary>
    private const int Enough = 8;

    /// <summary>Splits pairs into chunks that fit into memory.</summary>
    /// <param name="pairs">The pairs of the sweep.</param>
    /// <param name="config">The model's shape.</param>
    /// <param name="dtype">The model's type.</param>
    /// <param name="budget">Bounds how many pairs go into a chunk.</param>
    /// <returns>The chunks, each of at least one pair; every pair is in exactly one.</returns>
    public static IReadOnlyList<IReadOnlyList<TokenPair>> Split(IReadOnlyList<TokenPair> pairs, ModelConfig config, ScalarType dtype, MemoryBudget budget) =>
        Split(pairs, length => budget.PairsPerChunk(config, dtype, length));

    /// <summary>
    /// Splits pairs into chunks. Pairs of a chunk have one length, so no padding is ever computed; those that first differ at about the same
    /// position stand together, since a chunk is recomputed from its earliest difference on.
    /// </summary>
    /// <param name="pairs">The pairs of the sweep.</param>
    /// <param name="most">Of pairs of a length, how many go into a chunk at most.</param>
    /// <returns>The chunks, each of at least one pair; every pair is in exactly one.</returns>
    public static IReadOnlyList<IReadOnlyList<TokenPair>> Split(IReadOnlyList<TokenPair> pairs, Func<int, int> most)
    {
        var chunks = new List<IReadOnlyList<TokenPair>>();
        foreach (var ofOneLength in pairs.GroupBy(pair => pair.Length).OrderBy(group => group.Key))
        {
            int atMost = most(ofOneLength.Key), start = 0;
            var chunk = new List<TokenPair>();
            foreach (var (difference, pair) in ofOneLength.Select(pair => (pair.FirstDifference, pair)).OrderBy(one => one.FirstDifference).ThenBy(one => one.pair.Index))
            {
                if (chunk.Count == atMost || (chunk.Count >= Enough && difference != start))
                {
                    chunks.Add(chunk);
                    chunk = [];
                }

                start = chunk.Count == 0 ? difference : start;
                chunk.Add(pair);
            }

            chunks.Add(chunk);
        }

        return chunks;
    }
}
