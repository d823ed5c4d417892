using System.Diagnostics;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;

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
        var patcher = new LayerPatcher(model, metric, budget);
        var baselines = new Dictionary<int, Baseline>();
        var patches = new List<LayerPatches>();
        double cacheSeconds = 0;
        foreach (IReadOnlyList<TokenPair> chunk in Chunks.Split(pairs, model.Config, model.Dtype, budget))
        {
            cancellation.ThrowIfCancellationRequested();
            var layers = new List<LayerActivations>();
            try
            {
                long started = Stopwatch.GetTimestamp();
                using var run = new CachingRun(model, chunk);
                while (layers.Count < model.Config.Layers)
                {
                    layers.Add(run.NextLayer());
                }

                using FinalResiduals final = run.Final();
                IReadOnlyList<Baseline> chunkBaselines = final.Baselines(model, metric, chunk);
                foreach (var (pair, baseline) in chunk.Zip(chunkBaselines))
                {
                    baselines[pair.Index] = baseline;
                }

                cacheSeconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
                KeysValues[] keysValues = [.. layers.Select(layer => layer.Base(options.Direction)).Select(run => new KeysValues(run.K, run.V))];
                for (int layer = 0; layer < layers.Count; layer++)
                {
                    var inputs = new LayerInputs
                    {
                        Layer = layer,
                        Measured = new MeasuredPairs(chunk, final.Clean),
                        Baselines = chunkBaselines,
                        Activations = layers[layer],
                        Later = keysValues[(layer + 1)..],
                    };
                    patches.Add(patcher.Patch(inputs, options, progress, cancellation));
                }
            }
            finally
            {
                layers.ForEach(layer => layer.Dispose());
            }
        }

        return new SweepRuns(baselines, patches, cacheSeconds);
    }
}
