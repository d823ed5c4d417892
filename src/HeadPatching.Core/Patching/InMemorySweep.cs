using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>A sweep in one call, with no store: for use as a library, for tests and for measuring. One chunk's activations are held at a time.</summary>
public static class InMemorySweep
{
    /// <summary>Runs every head of every layer over all pairs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The pairs; their lengths may differ from pair to pair.</param>
    /// <param name="options">What to patch, where and which way.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="budget">How much memory it may take beside the weights.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <exception cref="InvalidInputException">An ablation has no other prompts for some pair.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static SweepRuns Run(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        PatchOptions options,
        IMetric metric,
        MemoryBudget budget,
        Action<long>? progress = null,
        CancellationToken cancellation = default)
    {
        var patcher = new BandPatcher(model, metric, budget);
        AblationPlan? ablation = AblationPlan.Of(pairs, options);
        if (ablation?.Faults("ablation") is { Count: > 0 } faults)
        {
            throw new InvalidInputException(faults);
        }

        int layers = model.Config.Layers;
        IReadOnlyList<MeanZ> means = options.Ablation == Ablation.Mean ? ablation!.Means(model, budget, cancellation) : [];
        try
        {
            var patches = new List<LayerPatches>();
            Chunked chunked = OverChunks(
                model,
                pairs,
                metric,
                budget,
                fromFirstPosition: options.Ablation is not null,
                chunk => patches.AddRange(PatchChunk(chunk)),
                cancellation,
                runsItself: model.Weights.Streamed is not null && options.Ablation is not Ablation.Mean);
            return new SweepRuns(chunked.Baselines, patches, chunked.CacheSeconds) { Attribution = chunked.Attribution };
        }
        finally
        {
            foreach (MeanZ mean in means)
            {
                mean.Dispose();
            }
        }

        IReadOnlyList<LayerPatches> PatchChunk(ChunkCaching chunk)
        {
            ChunkAblation? given = ablation?.For(chunk.Pairs);
            IReadOnlyList<Tensor> put = options.Ablation switch
            {
                Ablation.Mean => [.. means.Select((mean, layer) => given!.Mean(mean.Sums, chunk.Activations.Layers[layer].Base(options.Direction).Z!))],
                Ablation.Resample => given!.Resampled(model, 0, layers),
                _ => [],
            };
            try
            {
                var inputs = new BandInputs
                {
                    First = 0,
                    Last = layers - 1,
                    Caching = chunk,
                    AblatedZ = put.Index().ToDictionary(z => z.Index, z => z.Item),
                };
                return patcher.Patch(inputs, options, progress, cancellation);
            }
            finally
            {
                foreach (Tensor z in put)
                {
                    z.Dispose();
                }
            }
        }
    }

    /// <summary>Estimates what <see cref="Run"/> would give; see <see cref="AttributionRun"/>.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The pairs; their lengths may differ from pair to pair.</param>
    /// <param name="options">What to patch, where and which way.</param>
    /// <param name="metric">What is measured; it must have a gradient.</param>
    /// <param name="budget">How much memory it may take beside the weights.</param>
    /// <param name="gradient">Which gradient.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <exception cref="Faults.InvalidInputException">The patch has no estimate, or the metric no gradient.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static SweepRuns Estimate(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        PatchOptions options,
        IMetric metric,
        MemoryBudget budget,
        Gradient gradient = Gradient.FrozenNorms,
        CancellationToken cancellation = default)
    {
        var estimates = new List<LayerPatches>();
        Chunked chunked = OverChunks(model, pairs, metric, budget, fromFirstPosition: false, EstimateChunk, cancellation);
        return new SweepRuns(chunked.Baselines, estimates, chunked.CacheSeconds) { Attribution = chunked.Attribution };

        void EstimateChunk(ChunkCaching chunk)
        {
            using var run = AttributionRun.Start(model, metric, chunk.Measured, chunk.Baselines, options, budget, gradient, cancellation);
            estimates.AddRange(Enumerable.Range(0, model.Config.Layers).Select(layer => run.Estimate(layer, chunk.Activations)));
        }
    }

    /// <summary>Caches chunk by chunk what patching needs, and patches each; what patches may make a chunk's own runs itself.</summary>
    internal static Chunked OverChunks(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        IMetric metric,
        MemoryBudget budget,
        bool fromFirstPosition,
        Action<ChunkCaching> patch,
        CancellationToken cancellation,
        bool attribute = true,
        bool runsItself = false)
    {
        var baselines = new Dictionary<int, Baseline>();
        double cacheSeconds = 0;
        LogitAttribution? attribution = null;
        foreach (IReadOnlyList<TokenPair> chunk in Chunks.Split(pairs, model.Config, model.Dtype, budget))
        {
            cancellation.ThrowIfCancellationRequested();
            using var caching = new ChunkCaching(model, chunk, fromFirstPosition ? 0 : CachingRun.StartOf(chunk), metric, attribute);
            if (!runsItself)
            {
                caching.Run(cancellation);
            }

            patch(caching);
            foreach (var (pair, baseline) in chunk.Zip(caching.Baselines))
            {
                baselines[pair.Index] = baseline;
            }

            attribution = caching.Attribution is { } ofChunk ? attribution?.Plus(ofChunk) ?? ofChunk : attribution;
            cacheSeconds += caching.Seconds;
        }

        return new Chunked(baselines, cacheSeconds, attribution);
    }

    /// <summary>What caching all chunks gave.</summary>
    /// <param name="Baselines">The unpatched metrics of each pair, by the pair's index in the dataset.</param>
    /// <param name="CacheSeconds">Seconds in clean and corrupted runs.</param>
    /// <param name="Attribution">What each head adds directly, the sum over pairs; null where it was not asked for, or the metric has no such form.</param>
    internal sealed record Chunked(IReadOnlyDictionary<int, Baseline> Baselines, double CacheSeconds, LogitAttribution? Attribution);
}
