using HeadPatching.Core.Patching.Bands;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities.Adaptive;

/// <summary>Runs of a chunk that were made one by one, as they lie in the store.</summary>
/// <param name="Pairs">The pairs, by their places in the chunk.</param>
/// <param name="Heads">The heads, by layer.</param>
/// <param name="Metric">What they gave, [pair][head], the heads layer by layer.</param>
internal sealed record DrawnRuns(IReadOnlyList<int> Pairs, IReadOnlyDictionary<int, int[]> Heads, IReadOnlyList<double[]> Metric)
{
    /// <summary>Those of a chunk that any sweep has made; null where there are none.</summary>
    public static async Task<HeadCells?> KnownAsync(IArtifactStore store, SweepPlan plan, PlannedChunk chunk, ChunkWork.Heads work, CancellationToken cancellationToken)
    {
        HeadCells? known = null;
        if (work.Options.Positions.IsEach || work.Options.Positions.IsEachRole)
        {
            return known;
        }

        await foreach (ArtifactInfo artifact in store.ListAsync(SweepArtifacts.Drawn(chunk.KeyOfDrawn(work, plan.Model.Layers)), cancellationToken))
        {
            if (await store.ReadDerivedJsonAsync<DrawnRuns>(artifact.Name, cancellationToken) is DrawnRuns runs)
            {
                known ??= new HeadCells(chunk.Pairs.Count, plan.Model.Layers, plan.HeadCount);
                foreach (var (pair, metric) in runs.Pairs.Zip(runs.Metric))
                {
                    foreach (var (head, value) in runs.InOrder().Zip(metric))
                    {
                        known[pair, head.Layer, head.Head] = value;
                    }
                }
            }
        }

        return known;
    }

    private IEnumerable<(int Layer, int Head)> InOrder() => Heads.OrderBy(layer => layer.Key).SelectMany(layer => layer.Value.Select(head => (layer.Key, head)));
}
