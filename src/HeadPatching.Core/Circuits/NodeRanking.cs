using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits;

/// <summary>
/// Ranks nodes by what each does alone, over some of a sweep's pairs, so that a circuit can be proved on the others: heads by the sweep's own runs,
/// taken in pair by pair, and what was run as sets of one node beside them. Pairs come together as in the sweep's result.
/// </summary>
public sealed class NodeRanking
{
    private readonly EffectOverPairs _over;
    private readonly List<RankedNode> _nodes = [];
    private EffectMoments[][]? _heads;                                        // [layer][head]

    /// <summary>For runs over some pairs.</summary>
    /// <param name="aggregation">How pairs come together.</param>
    /// <param name="direction">Which run was patched.</param>
    /// <param name="pairs">The pairs that rank, and their unpatched metrics.</param>
    public NodeRanking(Aggregation aggregation, Direction direction, IEnumerable<(int Index, Baseline Baseline)> pairs)
    {
        _over = new EffectOverPairs(aggregation, direction, pairs);
    }

    /// <summary>Takes in a pair of a sweep of z at all positions: one that ranks.</summary>
    public void Add(PairRuns runs)
    {
        _heads ??= [.. runs.PatchedMetric.Select(layer => new EffectMoments[layer[0].Length])];
        if (!_over.Conditioning.Takes(runs.Pair.Index))
        {
            return;
        }

        for (int layer = 0; layer < _heads.Length; layer++)
        {
            for (int head = 0; head < _heads[layer].Length; head++)
            {
                _over.Add(ref _heads[layer][head], runs.Baseline, runs.PatchedMetric[layer][0][head]);
            }
        }
    }

    /// <summary>Takes in nodes that were patched one at a time.</summary>
    /// <param name="nodes">The nodes.</param>
    /// <param name="pairs">The pairs that rank.</param>
    /// <param name="runs">A set for each node, on these pairs.</param>
    public void Add(IReadOnlyList<Node> nodes, IReadOnlyList<TokenPair> pairs, PatchSetRuns runs)
    {
        int[] indices = [.. pairs.Select(pair => pair.Index)];
        foreach (var (node, patched) in nodes.Zip(runs.Patched))
        {
            _nodes.Add(new RankedNode(node, PatchedSet.Pooled(_over, runs.Baselines, indices, patched).Effect));
        }
    }

    /// <summary>All nodes with their effects, in no order.</summary>
    public IReadOnlyList<RankedNode> Ranked() =>
    [
        .. (_heads ?? []).SelectMany((heads, layer) => heads.Select((moments, head) => new RankedNode(Node.OfHead(layer, head), EffectOverPairs.Pooled(moments).Effect))),
        .. _nodes,
    ];
}
