using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities.Artifacts;

/// <summary>What the parts of the model add directly to the metric of a chunk's clean runs.</summary>
/// <param name="Pairs">How many pairs the chunk has.</param>
/// <param name="Sum">The sum over them; null where it is not finite.</param>
internal sealed record ChunkAttribution(int Pairs, LogitAttribution? Sum);

/// <summary>A chunk's direct logit attribution in the store: of no more numbers than the model has heads, however many pairs there are.</summary>
internal static class AttributionArtifact
{
    /// <summary>Takes it from a chunk's runs, and writes it.</summary>
    public static Task WriteAsync(
        IArtifactStore store, LoadedModels.Lease lease, PlannedChunk chunk, PlannedMetric planned, CachedChunk cached, CancellationToken cancellationToken)
    {
        IMetric metric = planned.Make();
        return WriteAsync(store, chunk, planned, lease.Use(Sum), cancellationToken);

        LogitAttribution Sum(Transformer model) => DirectAttribution
            .Of(model, metric, new MeasuredPairs(chunk.Pairs, cached.Final.Clean), cached.Activations)
            .Aggregate((sum, pair) => sum.Plus(pair));
    }

    /// <summary>Writes it.</summary>
    public static Task WriteAsync(IArtifactStore store, PlannedChunk chunk, PlannedMetric planned, LogitAttribution sum, CancellationToken cancellationToken) => store.WriteDerivedJsonAsync(
        SweepArtifacts.Attributions(chunk.KeyOfAttribution(planned)), new ChunkAttribution(chunk.Pairs.Count, double.IsFinite(sum.Total()) ? sum : null), cancellationToken);

    /// <summary>Reads it; null where it is not there whole.</summary>
    public static async Task<ChunkAttribution?> ReadAsync(IArtifactStore store, PlannedChunk chunk, PlannedMetric metric, CancellationToken cancellationToken) =>
        await store.ReadDerivedJsonAsync<ChunkAttribution>(SweepArtifacts.Attributions(chunk.KeyOfAttribution(metric)), cancellationToken) is { } known
            && known.Pairs == chunk.Pairs.Count
                ? known
                : null;
}
