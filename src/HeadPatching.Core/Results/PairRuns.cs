using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Results;

/// <summary>What the runs of one pair gave.</summary>
/// <param name="Place">The pair's place in the result.</param>
/// <param name="Pair">The pair.</param>
/// <param name="Baseline">Its unpatched metrics.</param>
/// <param name="PatchedMetric">
/// The metric of every patched run, [layer][row][head], the rows as in <see cref="LayerPatches.PatchedMetric"/>; where none was made, of its estimate,
/// and with the method <c>adaptive</c> not a number.
/// </param>
public sealed record PairRuns(int Place, TokenPair Pair, Baseline Baseline, double[][][] PatchedMetric)
{
    /// <summary>With the methods <c>screen</c> and <c>adaptive</c>, what the estimates alone gave, [layer][row][head]; null where there are none.</summary>
    public double[][][]? Estimates { get; init; }

    /// <summary>The estimates of a pair, with the metric of the patched run in place of them where there was one.</summary>
    /// <param name="estimates">[layer][row][head]</param>
    /// <param name="exact">Of the layers that have runs, [row][head] by layer.</param>
    /// <param name="headsRun">The heads that were run, by layer.</param>
    public static double[][][] ExactWhereRun(
        double[][][] estimates, IReadOnlyDictionary<int, double[][]> exact, IReadOnlyDictionary<int, int[]> headsRun)
    {
        double[][][] metric = [.. estimates];
        foreach (var (layer, rows) in exact)
        {
            metric[layer] = [.. estimates[layer].Select(row => row.ToArray())];
            for (int row = 0; row < rows.Length; row++)
            {
                foreach (int head in headsRun[layer])
                {
                    metric[layer][row][head] = rows[row][head];
                }
            }
        }

        return metric;
    }
}
