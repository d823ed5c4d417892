using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results.OverPairs;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Paths;

/// <summary>
/// Paths from any nodes over all pairs in one call, with no store: one chunk's activations are held at a time. Each is patched in one place, so that a sender
/// has one run a pair.
/// </summary>
public static class PathSenders
{
    /// <summary>The nodes beside the heads: the embedding, then every layer's MLP.</summary>
    public static IEnumerable<Node> BesideHeads(ModelConfig config) => Node.All(config).Where(node => node.Kind != NodeKind.Head);

    /// <summary>Nodes where they send: each at every place that the pairs share (<see cref="Cells.Of"/>) where positions or roles are patched in turn, otherwise where positions say.</summary>
    /// <param name="nodes">The nodes.</param>
    /// <param name="positions">Where patches are made.</param>
    /// <param name="pairs">All pairs of a sweep.</param>
    /// <returns>Node by node, each at one place after another; positions are counted from the end.</returns>
    public static IReadOnlyList<PatchedNode> At(IEnumerable<Node> nodes, Positions positions, PairShapes pairs)
    {
        Positions[] places = [.. Cells.Of(positions, pairs).Select(cell =>
            cell.Role is string role ? Positions.AtRole(role) : cell.Position is int fromEnd ? Positions.One(fromEnd) : positions)];
        return [.. from node in nodes from place in places select new PatchedNode(node, place)];
    }

    /// <summary>Patches the paths from nodes, one at a time; see <see cref="PathPatcher"/>.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The pairs; their lengths may differ from pair to pair.</param>
    /// <param name="senders">The nodes that the model has, each where it sends.</param>
    /// <param name="options">The receivers, and which way; where is the senders' own.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="budget">How much memory it may take beside the weights.</param>
    /// <param name="cancellation">Looked at before each step of a batch.</param>
    /// <returns>The runs, a sender's in the place of a set's. A pair that has no such position or role is as it was.</returns>
    /// <exception cref="InvalidInputException">The model has no such receivers.</exception>
    /// <exception cref="ArgumentException">A sender is patched at each position or role in turn.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one sender at a time fits into the device's memory.</exception>
    public static PatchSetRuns Run(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        IReadOnlyList<PatchedNode> senders,
        PathOptions options,
        IMetric metric,
        MemoryBudget budget,
        CancellationToken cancellation = default)
    {
        if (senders.Any(sender => sender.Positions.IsEach || sender.Positions.IsEachRole))
        {
            throw new ArgumentException("A sender is patched in one place of each pair.", nameof(senders));
        }

        var patcher = new PathPatcher(model, metric, budget);
        Dictionary<int, int> places = pairs.Index().ToDictionary(pair => pair.Item.Index, pair => pair.Index);
        double[][] patched = [.. senders.Select(_ => new double[pairs.Count])];
        InMemorySweep.Chunked chunked = InMemorySweep.OverChunks(model, pairs, metric, budget, fromFirstPosition: false, OfChunk, cancellation, attribute: false, runsItself: model.Weights.Streamed is not null && senders.Count > 0);
        return new PatchSetRuns([.. pairs.Select(pair => chunked.Baselines[pair.Index])], patched);

        void OfChunk(ChunkCaching chunk)
        {
            foreach (var at in senders.Index().GroupBy(sender => sender.Item.Positions))
            {
                using var mode = inference_mode();
                using var scope = NewDisposeScope();
                int[] have = [.. chunk.Pairs.Index().Where(pair => at.Key.AreIn(pair.Item)).Select(pair => pair.Index)];
                foreach (var kind in at.GroupBy(sender => sender.Item.Node.Kind).Where(_ => have.Length > 0))
                {
                    ILookup<int, (int Index, PatchedNode Item)> byLayer = kind.ToLookup(sender => sender.Item.Node.Layer);
                    var inputs = new BandInputs
                    {
                        First = byLayer.Min(layer => layer.Key),
                        Last = byLayer.Max(layer => layer.Key),
                        Caching = chunk,
                        OnlyHeads = byLayer.ToDictionary(layer => layer.Key, layer => (IReadOnlyList<int>)[.. layer.Select(sender => sender.Item.Node.Head)]),
                    };
                    if (have.Length < chunk.Pairs.Count)
                    {
                        chunk.Run(cancellation);
                        inputs = inputs.Of(have);
                    }

                    foreach (LayerPatches layer in patcher.Patch(inputs, options with { From = kind.Key, Positions = at.Key }, cancellation: cancellation))
                    {
                        foreach (var (sender, pair) in byLayer[layer.Layer].SelectMany(_ => layer.PairIndices.Index(), (sender, pair) => (sender, pair)))
                        {
                            patched[sender.Index][places[pair.Item]] = layer.PatchedMetric[pair.Index][0][sender.Item.Node.Head];
                        }
                    }
                }

                // Pairs without such a place are as they were.
                chunk.Run(cancellation);
                foreach (int pair in Enumerable.Range(0, chunk.Pairs.Count).Except(have))
                {
                    foreach (var (sender, _) in at)
                    {
                        patched[sender][places[chunk.Pairs[pair].Index]] = chunk.Baselines[pair].FromTo(options.Direction).From;
                    }
                }
            }
        }
    }
}
