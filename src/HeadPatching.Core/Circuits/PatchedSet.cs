using System.Text.Json.Serialization;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits;

/// <summary>What patching a set of nodes together did, over the pairs of a sweep.</summary>
/// <param name="Set">The set, such as <c>L9H6,M8@-1</c>.</param>
/// <param name="PatchingEffect">Its effect over the pairs, as that of a head (<see cref="HeadResult.PatchingEffect"/>).</param>
/// <param name="StandardError">Its standard error; null with fewer than two pairs.</param>
/// <param name="ConfidenceInterval">Its 95 % interval; null with few pairs.</param>
/// <param name="MeanPatchedMetric">The mean of the patched runs' metric over all pairs, of a sender at a place over those that have it.</param>
public sealed record PatchedSet(string Set, double PatchingEffect, double? StandardError, ConfidenceInterval? ConfidenceInterval, double MeanPatchedMetric)
{
    /// <summary>The patched runs' metric, in the order of the result's pairs; absent where results.json does not hold the pairs, or not every pair has the place that is patched.</summary>
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
        return [.. sets.Zip(runs.Patched, (set, metric) => Of(set.ToString(), over, runs.Baselines, indices, metric))];
    }

    /// <summary>What senders of paths did, in their order, each over the pairs that have the place where it sends.</summary>
    /// <param name="senders">The senders.</param>
    /// <param name="positions">What was asked for: where it is one place for all, the senders are called by their nodes alone.</param>
    /// <param name="runs">Their runs on all pairs of a sweep.</param>
    /// <param name="pairs">The pairs, in order.</param>
    /// <param name="aggregation">How pairs come together.</param>
    /// <param name="direction">Which run was patched.</param>
    public static IReadOnlyList<PatchedSet> OfSenders(
        IReadOnlyList<PatchedNode> senders, Positions positions, PatchSetRuns runs, IReadOnlyList<TokenPair> pairs, Aggregation aggregation, Direction direction)
    {
        var over = new EffectOverPairs(aggregation, direction, pairs.Select(pair => pair.Index).Zip(runs.Baselines));
        return [.. senders.Zip(runs.Patched, Sender)];

        PatchedSet Sender(PatchedNode sender, double[] metric)
        {
            int[] have = [.. pairs.Index().Where(pair => sender.Positions.AreIn(pair.Item)).Select(pair => pair.Index)];
            PatchedSet of = Of(
                (sender.Positions == positions ? sender.Node : (object)sender).ToString()!,
                over,
                [.. have.Select(pair => runs.Baselines[pair])],
                [.. have.Select(pair => pairs[pair].Index)],
                [.. have.Select(pair => metric[pair])]);
            return have.Length == pairs.Count ? of : of with { PatchedMetric = null };
        }
    }

    private static PatchedSet Of(string set, EffectOverPairs over, IReadOnlyList<Baseline> baselines, IReadOnlyList<int> indices, double[] metric)
    {
        PooledEffect pooled = Pooled(over, baselines, indices, metric);
        return new PatchedSet(set, pooled.Effect, pooled.StandardError, pooled.Interval, metric.Average())
        {
            PatchedMetric = metric.Length > SweepResult.MostPairs ? null : metric,
        };
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
