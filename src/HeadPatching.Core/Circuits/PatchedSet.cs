using System.Text.Json.Serialization;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits;

/// <summary>What patching a set of nodes together did, over the pairs of a sweep.</summary>
/// <param name="Set">The set, such as <c>L9H6,M8@-1</c>.</param>
/// <param name="PatchingEffect">Its effect over the pairs, as that of a head (<see cref="HeadResult.PatchingEffect"/>).</param>
/// <param name="StandardError">Its standard error; null with fewer than two pairs.</param>
/// <param name="ConfidenceInterval">Its 95 % interval; null with few pairs.</param>
/// <param name="MeanPatchedMetric">The mean of the patched runs' metric over all pairs.</param>
public sealed record PatchedSet(string Set, double PatchingEffect, double? StandardError, ConfidenceInterval? ConfidenceInterval, double MeanPatchedMetric)
{
    /// <summary>The patched runs' metric, in the order of the result's pairs; absent where results.json does not hold the pairs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? PatchedMetric { get; init; }

    /// <summary>What sets did, in their order.</summary>
    /// <param name="sets">The sets.</param>
    /// <param name="runs">Their runs on all pairs of a sweep.</param>
    /// <param name="indices">The pairs' indices, in order.</param>
    /// <param name="aggregation">How pairs come together.</param>
    /// <param name="direction">Which run was patched.</param>
    public static IReadOnlyList<PatchedSet> Of(
        IReadOnlyList<PatchSet> sets, PatchSetRuns runs, IReadOnlyList<int> indices, Aggregation aggregation, Direction direction)
    {
        var over = new EffectOverPairs(aggregation, direction, indices.Zip(runs.Baselines));
        return [.. sets.Zip(runs.Patched, Set)];

        PatchedSet Set(PatchSet set, double[] metric)
        {
            PooledEffect pooled = Pooled(over, runs.Baselines, indices, metric);
            return new PatchedSet(set.ToString(), pooled.Effect, pooled.StandardError, pooled.Interval, metric.Average())
            {
                PatchedMetric = metric.Length > SweepResult.MostPairs ? null : metric,
            };
        }
    }

    /// <summary>The effect of one patch over pairs.</summary>
    internal static PooledEffect Pooled(EffectOverPairs over, IReadOnlyList<Baseline> baselines, IReadOnlyList<int> indices, double[] metric)
    {
        var moments = new EffectMoments();
        for (int pair = 0; pair < indices.Count; pair++)
        {
            if (over.Conditioning.Takes(indices[pair]))
            {
                over.Add(ref moments, baselines[pair], metric[pair]);
            }
        }

        return EffectOverPairs.Pooled(moments);
    }
}
