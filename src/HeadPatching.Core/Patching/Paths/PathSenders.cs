using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Patching.Paths;

/// <summary>
/// Paths from any nodes over all pairs in one call, with no store: one chunk's activations are held at a time. Each is patched in one place, so that a node
/// has one run a pair.
/// </summary>
public static class PathSenders
{
    /// <summary>The nodes beside the heads: the embedding, then every layer's MLP.</summary>
    public static IEnumerable<Node> BesideHeads(ModelConfig config) => Node.All(config).Where(node => node.Kind != NodeKind.Head);

    /// <summary>Patches the paths from nodes, one at a time; see <see cref="PathPatcher"/>.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The pairs; their lengths may differ from pair to pair.</param>
    /// <param name="senders">The nodes that the model has.</param>
    /// <param name="options">The receivers, where (not each position or role in turn) and which way.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="budget">How much memory it may take beside the weights.</param>
    /// <param name="cancellation">Looked at before each step of a batch.</param>
    /// <returns>The runs, a node's in the place of a set's.</returns>
    /// <exception cref="InvalidInputException">The model has no such receivers.</exception>
    /// <exception cref="ArgumentException">Each position or role is patched in turn.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one sender at a time fits into the device's memory.</exception>
    public static PatchSetRuns Run(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        IReadOnlyList<Node> senders,
        PathOptions options,
        IMetric metric,
        MemoryBudget budget,
        CancellationToken cancellation = default)
    {
        if (options.Positions.IsEach || options.Positions.IsEachRole)
        {
            throw new ArgumentException("Senders are patched in one place of each pair.", nameof(options));
        }

        var patcher = new PathPatcher(model, metric, budget);
        Dictionary<int, int> places = pairs.Index().ToDictionary(pair => pair.Item.Index, pair => pair.Index);
        ILookup<(NodeKind, int), (int Index, Node Node)> byLayer = senders.Index().Select(one => (one.Index, one.Item)).ToLookup(one => (one.Item.Kind, one.Item.Layer));
        double[][] patched = [.. senders.Select(_ => new double[pairs.Count])];
        InMemorySweep.Chunked chunked = InMemorySweep.OverChunks(model, pairs, metric, budget, fromFirstPosition: false, OfChunk, cancellation, attribute: false, runsItself: model.Weights.Streamed is not null && senders.Count > 0);
        return new PatchSetRuns([.. pairs.Select(pair => chunked.Baselines[pair.Index])], patched);

        void OfChunk(ChunkCaching chunk)
        {
            foreach (var kind in senders.GroupBy(sender => sender.Kind))
            {
                var inputs = new BandInputs
                {
                    First = kind.Min(sender => sender.Layer),
                    Last = kind.Max(sender => sender.Layer),
                    Caching = chunk,
                    OnlyHeads = kind.GroupBy(sender => sender.Layer).ToDictionary(layer => layer.Key, layer => (IReadOnlyList<int>)[.. layer.Select(sender => sender.Head)]),
                };
                foreach (LayerPatches layer in patcher.Patch(inputs, options with { From = kind.Key }, cancellation: cancellation))
                {
                    foreach (var (sender, pair) in byLayer[(kind.Key, layer.Layer)].SelectMany(_ => layer.PairIndices.Index(), (sender, pair) => (sender, pair)))
                    {
                        patched[sender.Index][places[pair.Item]] = layer.PatchedMetric[pair.Index][0][sender.Node.Head];
                    }
                }
            }
        }
    }
}
