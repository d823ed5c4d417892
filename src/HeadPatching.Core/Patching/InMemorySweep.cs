using System.Diagnostics;
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
                (measured, baselines, activations) => patches.AddRange(PatchChunk(measured, baselines, activations)),
                cancellation);
            return new SweepRuns(chunked.Baselines, patches, chunked.CacheSeconds);
        }
        finally
        {
            foreach (MeanZ mean in means)
            {
                mean.Dispose();
            }
        }

        IReadOnlyList<LayerPatches> PatchChunk(MeasuredPairs measured, IReadOnlyList<Baseline> baselines, ChunkActivations activations)
        {
            ChunkAblation? given = ablation?.For(measured.Pairs);
            IReadOnlyList<Tensor> put = options.Ablation switch
            {
                Ablation.Mean => [.. means.Select((mean, layer) => given!.Mean(mean.Sums, activations.Layers[layer].Base(options.Direction).Z!))],
                Ablation.Resample => given!.Resampled(model, 0, layers),
                _ => [],
            };
            try
            {
                var inputs = new BandInputs
                {
                    First = 0,
                    Last = layers - 1,
                    Measured = measured,
                    Baselines = baselines,
                    Activations = activations,
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
        return new SweepRuns(chunked.Baselines, estimates, chunked.CacheSeconds);

        void EstimateChunk(MeasuredPairs measured, IReadOnlyList<Baseline> baselines, ChunkActivations activations)
        {
            using var run = AttributionRun.Start(model, metric, measured, baselines, options, budget, gradient, cancellation);
            estimates.AddRange(Enumerable.Range(0, model.Config.Layers).Select(layer => run.Estimate(layer, activations)));
        }
    }

    /// <summary>Caches chunk by chunk what patching needs, and patches each.</summary>
    internal static Chunked OverChunks(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        IMetric metric,
        MemoryBudget budget,
        bool fromFirstPosition,
        Action<MeasuredPairs, IReadOnlyList<Baseline>, ChunkActivations> patch,
        CancellationToken cancellation)
    {
        var baselines = new Dictionary<int, Baseline>();
        double cacheSeconds = 0;
        foreach (IReadOnlyList<TokenPair> chunk in Chunks.Split(pairs, model.Config, model.Dtype, budget))
        {
            cancellation.ThrowIfCancellationRequested();
            long started = Stopwatch.GetTimestamp();
            using var run = new CachingRun(model, chunk, fromFirstPosition ? 0 : CachingRun.StartOf(chunk));
            using ChunkActivations activations = run.AllLayers(cancellation);
            using FinalResiduals final = run.Final();
            IReadOnlyList<Baseline> chunkBaselines = final.Baselines(model, metric, chunk);
            foreach (var (pair, baseline) in chunk.Zip(chunkBaselines))
            {
                baselines[pair.Index] = baseline;
            }

            cacheSeconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
            patch(new MeasuredPairs(chunk, final.Clean), chunkBaselines, activations);
        }

        return new Chunked(baselines, cacheSeconds);
    }

    /// <summary>What caching all chunks gave.</summary>
    /// <param name="Baselines">The unpatched metrics of each pair, by the pair's index in the dataset.</param>
    /// <param name="CacheSeconds">Seconds in clean and corrupted runs.</param>
    internal sealed record Chunked(IReadOnlyDictionary<int, Baseline> Baselines, double CacheSeconds);
}
