using HeadPatching.Core.Results;

namespace HeadPatching.Core.Patching.Attribution;

/// <summary>Chooses the heads that are worth an exact patch, from the estimates of all.</summary>
public static class Screen
{
    /// <summary>The heads of largest |estimated effect| over all pairs; where each position is patched in turn, that of their strongest position.</summary>
    /// <param name="count">How many are wanted; all, where there are no more.</param>
    /// <param name="estimates">The estimates of every layer over every chunk, and the baselines of every pair.</param>
    /// <param name="options">What was estimated.</param>
    /// <param name="aggregation">How the pairs come together.</param>
    /// <returns>The heads, largest |effect| first; equal ones by layer, then by head.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is not positive.</exception>
    public static IReadOnlyList<(int Layer, int Head)> Top(int count, SweepRuns estimates, PatchOptions options, Aggregation aggregation)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
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
            (int Pair, double[][] Metric)[] pairs = [.. chunks.SelectMany(patches => patches.PairIndices.Zip(patches.PatchedMetric)).OrderBy(pair => pair.First)];
            return Enumerable.Range(0, pairs[0].Metric[0].Length).Select(head =>
                // Counted from the end, where all pairs have their answer: lengths may differ.
                Enumerable.Range(1, pairs.Max(pair => pair.Metric.Length)).Max(fromEnd =>
                {
                    var those = pairs.Where(pair => pair.Metric.Length >= fromEnd);
                    return Math.Abs(overPairs.Of(those.Select(pair => (pair.Pair, pair.Metric[^fromEnd][head]))).Effect);
                }));
        }
    }
}
