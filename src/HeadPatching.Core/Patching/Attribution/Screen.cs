using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;

namespace HeadPatching.Core.Patching.Attribution;

/// <summary>Chooses the heads that are worth an exact patch, from the estimates of all.</summary>
public static class Screen
{
    /// <summary>The heads of largest |estimated effect| over all pairs; where each position or role is patched in turn, that of their strongest (<see cref="Cells"/>).</summary>
    /// <param name="count">How many are wanted; all, where there are no more.</param>
    /// <param name="pairs">The pairs of the sweep.</param>
    /// <param name="estimates">The estimates of every layer over every chunk, and the baselines of every pair.</param>
    /// <param name="options">What was estimated.</param>
    /// <param name="aggregation">How the pairs come together.</param>
    /// <returns>The heads, largest |effect| first; equal ones by layer, then by head.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is not positive.</exception>
    public static IReadOnlyList<(int Layer, int Head)> Top(
        int count, IReadOnlyList<TokenPair> pairs, SweepRuns estimates, PatchOptions options, Aggregation aggregation)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        IReadOnlyList<Cell> places = Cells.WithEnoughPairs(Cells.Of(options.Positions, pairs), pairs.Count);
        var overPairs = new EffectOverPairs(aggregation, options.Direction, estimates.Baselines.Keys, estimates.Baselines);
        return
        [
            .. estimates.Layers
                .GroupBy(patches => patches.Layer)
                .SelectMany(chunks => Effects(chunks).Select((effect, head) => (Layer: chunks.Key, Head: head, Effect: effect)))
                .OrderByDescending(unit => unit.Effect)
                .ThenBy(unit => unit.Layer)
                .ThenBy(unit => unit.Head)
                .Take(count)
                .Select(unit => (unit.Layer, unit.Head)),
        ];

        // |effect| by head.
        IEnumerable<double> Effects(IEnumerable<LayerPatches> chunks)
        {
            Dictionary<int, double[][]> metric = chunks.SelectMany(patches => patches.PairIndices.Zip(patches.PatchedMetric)).ToDictionary(pair => pair.First, pair => pair.Second);
            return Enumerable.Range(0, metric[pairs[0].Index][0].Length).Select(head => places.Max(place =>
                Math.Abs(overPairs.Of(place.Rows.Select(row => (row.Pair.Index, metric[row.Pair.Index][row.Row][head]))).Effect)));
        }
    }
}
