using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>The runs of a sweep's parts in the store, read together.</summary>
internal sealed class StoredRuns(IArtifactStore store, StoredPlans plans)
{
    /// <summary>How many missing parts are named at once; the rest are named by the next call.</summary>
    private const int MostMissing = 1000;

    /// <summary>The runs of the first so many parts, or which of them are not there whole: those are deleted, so that they are made again.</summary>
    public async Task<(SweepRuns? Runs, IReadOnlyList<int> Missing)> ReadAsync(
        string sweepId, SweepPlan plan, int parts, ChunkWork work, Traffic traffic, CancellationToken cancellationToken)
    {
        var baselines = new Dictionary<int, Baseline>();
        var layers = new List<LayerPatches>();
        var missing = new List<int>();
        double cacheSeconds = 0;
        for (int index = 0; index < parts && missing.Count < MostMissing; index++)
        {
            PlannedPart part = (await plans.PartAsync(sweepId, index, cancellationToken)).For(work, plan);
            bool whole = true;
            foreach (PlannedChunk chunk in part.Chunks)
            {
                string key = part.KeyOf(chunk, work);
                if (await RunArtifact.ReadAsync(store, key, chunk.Pairs, traffic, cancellationToken) is not ChunkRuns runs)
                {
                    await store.DeleteAsync(SweepArtifacts.Runs(key), cancellationToken);
                    whole = false;
                    continue;
                }

                cacheSeconds += runs.CacheSeconds;
                layers.AddRange(runs.Layers);
                foreach (var (pair, baseline) in chunk.Pairs.Zip(runs.Baselines))
                {
                    baselines[pair.Index] = baseline;
                }
            }

            if (!whole)
            {
                missing.Add(index);
            }
        }

        return missing.Count > 0 ? (null, missing) : (new SweepRuns(baselines, layers, cacheSeconds), []);
    }
}
