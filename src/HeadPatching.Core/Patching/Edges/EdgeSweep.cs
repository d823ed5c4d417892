using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Patching.Edges;

/// <summary>What all edges gave, or estimates of it.</summary>
/// <param name="Edges">The edges.</param>
/// <param name="Baselines">The unpatched metrics of each pair, in the order of the pairs.</param>
/// <param name="Patched">The metric of each edge's run on each pair, [edge][pair].</param>
/// <param name="PatchedRuns">How many runs were made.</param>
public sealed record EdgeRuns(IReadOnlyList<Edge> Edges, IReadOnlyList<Baseline> Baselines, double[][] Patched, long PatchedRuns);

/// <summary>Edges over all pairs in one call, with no store: for use as a library, for tests and for measuring. One chunk's activations are held at a time.</summary>
public static class EdgeSweep
{
    /// <summary>Patches edges one at a time; see <see cref="EdgePatcher"/>.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The pairs; their lengths may differ from pair to pair.</param>
    /// <param name="options">Which way.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="budget">How much memory it may take beside the weights.</param>
    /// <param name="edges">The edges; null: all, <see cref="Edge.All"/>.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each step of a batch.</param>
    /// <exception cref="InvalidInputException">The model has no such edges.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one edge on one pair fits into the device's memory.</exception>
    public static EdgeRuns Run(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        EdgeOptions options,
        IMetric metric,
        MemoryBudget budget,
        IReadOnlyList<Edge>? edges = null,
        Action<long>? progress = null,
        CancellationToken cancellation = default)
    {
        var patcher = new EdgePatcher(model, metric, budget);
        return OverChunks(
            model,
            pairs,
            metric,
            budget,
            edges ?? [.. Edge.All(model.Config, options.Ungrouped)],
            (chunk, all) => patcher.Patch(chunk, all, options, progress, cancellation),
            cancellation);
    }

    /// <summary>Estimates what <see cref="Run"/> would give; see <see cref="EdgeAttribution"/>.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The pairs; their lengths may differ from pair to pair.</param>
    /// <param name="options">Which way.</param>
    /// <param name="metric">What is measured; it must have a gradient.</param>
    /// <param name="budget">How much memory it may take beside the weights.</param>
    /// <param name="steps">How many runs the gradient is the mean of: 1 for EAP, more for EAP-IG.</param>
    /// <param name="gradient">Which gradient.</param>
    /// <param name="edges">The edges; null: all.</param>
    /// <param name="cancellation">Looked at before each batch and step.</param>
    /// <exception cref="InvalidInputException">The model has no such edges, or the metric no gradient.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static EdgeRuns Estimate(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        EdgeOptions options,
        IMetric metric,
        MemoryBudget budget,
        int steps = 1,
        Gradient gradient = Gradient.Plain,
        IReadOnlyList<Edge>? edges = null,
        CancellationToken cancellation = default)
    {
        var attribution = new EdgeAttribution(model, metric, budget);
        return OverChunks(
            model,
            pairs,
            metric,
            budget,
            edges ?? [.. Edge.All(model.Config, options.Ungrouped)],
            (chunk, all) => attribution.Estimate(chunk, all, options, steps, gradient, cancellation),
            cancellation);
    }

    private static EdgeRuns OverChunks(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        IMetric metric,
        MemoryBudget budget,
        IReadOnlyList<Edge> edges,
        Func<ChunkCaching, IReadOnlyList<Edge>, EdgePatches> patch,
        CancellationToken cancellation)
    {
        Dictionary<int, int> places = pairs.Index().ToDictionary(pair => pair.Item.Index, pair => pair.Index);
        double[][] patched = [.. edges.Select(_ => new double[pairs.Count])];
        long made = 0;
        InMemorySweep.Chunked chunked = InMemorySweep.OverChunks(model, pairs, metric, budget, fromFirstPosition: false, OfChunk, cancellation, attribute: false, runsItself: model.Weights.Streamed is not null);
        return new EdgeRuns(edges, [.. pairs.Select(pair => chunked.Baselines[pair.Index])], patched, made);

        void OfChunk(ChunkCaching chunk)
        {
            EdgePatches patches = patch(chunk, edges);
            made += patches.PatchedRuns;
            foreach (var (all, own) in patched.Zip(patches.Metric))
            {
                foreach (var (index, value) in patches.PairIndices.Zip(own))
                {
                    all[places[index]] = value;
                }
            }
        }
    }
}
