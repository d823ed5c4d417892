using System.Text.Json;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Engine;

/// <summary>A sweep's status in the store.</summary>
internal static class StoredStatus
{
    /// <summary>Replaces it.</summary>
    public static Task ReplaceStatusAsync(this IArtifactStore store, SweepStatus status, CancellationToken cancellationToken = default) =>
        store.ReplaceTextAsync(SweepArtifacts.Status(status.Id), JsonSerializer.Serialize(status, ResultJson.Compact), cancellationToken);
}
