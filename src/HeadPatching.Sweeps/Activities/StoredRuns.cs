using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>What the activities of a sweep left in the store, read together.</summary>
internal static class StoredRuns
{
    /// <summary>The baselines of every pair and the estimates of every layer over every chunk.</summary>
    public static Task<SweepRuns> EstimatesAsync(IArtifactStore store, string sweepId, SweepPlan plan, CancellationToken cancellationToken) =>
        ReadAsync(
            store,
            plan,
            chunk => store.RequireJsonAsync<List<LayerPatches>>(SweepArtifacts.Estimates(sweepId, plan.Request.EstimatedFrom()!.Value, chunk), cancellationToken),
            cancellationToken);

    /// <summary>The baselines of every pair and the patched runs of some layers over every chunk.</summary>
    public static Task<SweepRuns> PatchesAsync(
        IArtifactStore store, string sweepId, SweepPlan plan, IReadOnlyList<int> layers, CancellationToken cancellationToken)
    {
        return ReadAsync(store, plan, LayersAsync, cancellationToken);

        async Task<List<LayerPatches>> LayersAsync(int chunk)
        {
            var patches = new List<LayerPatches>();
            foreach (int layer in layers)
            {
                patches.Add(await store.RequireJsonAsync<LayerPatches>(SweepArtifacts.Layer(sweepId, layer, chunk), cancellationToken));
            }

            return patches;
        }
    }

    private static async Task<SweepRuns> ReadAsync(
        IArtifactStore store, SweepPlan plan, Func<int, Task<List<LayerPatches>>> layersOfChunk, CancellationToken cancellationToken)
    {
        string metric = MetricFor.Metric(plan.Request.Metric).Name;
        var baselines = new Dictionary<int, Baseline>();
        var layers = new List<LayerPatches>();
        double cacheSeconds = 0;
        for (int chunk = 0; chunk < plan.Chunks.Count; chunk++)
        {
            var ofChunk = await store.RequireJsonAsync<ChunkBaselines>(SweepArtifacts.Baselines(plan.Chunks[chunk].Activations, metric), cancellationToken);
            cacheSeconds += ofChunk.Seconds;
            foreach (var (pair, baseline) in plan.PairsOf(chunk).Zip(ofChunk.Baselines))
            {
                baselines[pair.Index] = baseline;
            }

            layers.AddRange(await layersOfChunk(chunk));
        }

        return new SweepRuns(baselines, layers, cacheSeconds);
    }
}
