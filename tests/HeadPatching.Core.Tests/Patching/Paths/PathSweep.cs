using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
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
            var layers = new List<LayerActivations>();
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

            HeadActivations[] patched = [.. layers.Select(layer => layer.Base(options.Direction))];
            HeadActivations[] source = sourceIsBase ? patched : [.. layers.Select(layer => layer.Source(options.Direction))];
            double before = Sum(patched) + Sum(source);
            long live = LiveTensors();
            for (int layer = 0; layer < patched.Length; layer++)
            {
                patches.Add(patcher.Patch(
                    layer, new MeasuredPairs(chunk, final.Clean), chunkBaselines, source[layer].Z, patched[layer..], options, progress, cancellation));
            }

            Assert.Equal(live, LiveTensors());
            Assert.Equal(before, Sum(patched) + Sum(source));
            layers.ForEach(layer => layer.Dispose());
        }

        return new SweepRuns(baselines, patches, 0);
    }

    private static long LiveTensors() => TorchSharp.DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

    private static double Sum(HeadActivations[] layers)
    {
        using var scope = NewDisposeScope();
        return layers.SelectMany(layer => layer.Named()).Sum(named => named.Tensor.to(ScalarType.Float64).sum().item<double>());
    }
}
