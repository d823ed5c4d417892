using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching.Paths;

/// <summary>
/// Every head of every layer as a sender, over all pairs, in chunks. Whatever is swept, no tensor may be left behind, and the activations
/// that were given must be as they were.
/// </summary>
internal static class PathSweep
{
    public static SweepRuns Run(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        PathOptions options,
        MemoryBudget? budget = null,
        IMetric? metric = null,
        bool sourceIsBase = false,
        Action<long>? progress = null,
        CancellationToken cancellation = default)
    {
        budget ??= MemoryBudget.Default;
        metric ??= new LogitDifference();
        var patcher = new PathPatcher(model, metric, budget);
        var baselines = new Dictionary<int, Baseline>();
        var patches = new List<LayerPatches>();
        foreach (IReadOnlyList<TokenPair> chunk in Chunks.Split(pairs, model.Config, model.Dtype, budget))
        {
            using var cached = new CachedChunk(model, chunk, metric);
            foreach (var (pair, baseline) in chunk.Zip(cached.Baselines))
            {
                baselines[pair.Index] = baseline;
            }

            ChunkActivations activations = sourceIsBase ? cached.SourceIsBase(options.Direction) : cached.Activations;
            double before = Sum(activations);
            long live = LiveTensors();
            patches.AddRange(patcher.Patch(cached.Band(0, model.Config.Layers - 1, activations), options, progress, cancellation));
            Assert.Equal(live, LiveTensors());
            Assert.Equal(before, Sum(activations));
        }

        return new SweepRuns(baselines, patches, 0);
    }

    private static long LiveTensors() => TorchSharp.DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

    private static double Sum(ChunkActivations activations)
    {
        using var scope = NewDisposeScope();
        return activations.Layers.Values.SelectMany(layer => layer.Tensors()).Sum(one => one.Tensor.to(ScalarType.Float64).sum().item<double>());
    }
}
