using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Plans;

/// <summary>What a store holds under keys and no sweep refers to any more.</summary>
public static class StorePruning
{
    /// <summary>Finds what no sweep of the store refers to and is older than a time; activations of earlier versions of the store are among it.</summary>
    /// <param name="store">The store.</param>
    /// <param name="plans">Its plans.</param>
    /// <param name="olderThan">What was written since is left: a sweep that has just begun refers to nothing yet.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task<IReadOnlyList<ArtifactInfo>> UnusedAsync(
        IArtifactStore store, StoredPlans plans, DateTimeOffset olderThan, CancellationToken cancellationToken)
    {
        var old = new Dictionary<string, ArtifactInfo>(StringComparer.Ordinal);
        foreach (string folder in SweepArtifacts.KeyedFolders)
        {
            await foreach (ArtifactInfo artifact in store.ListAsync(folder, cancellationToken))
            {
                if (artifact.LastModified < olderThan)
                {
                    old.Add(artifact.Name, artifact);
                }
            }
        }

        await foreach (string sweep in store.ListFoldersAsync(SweepArtifacts.Sweeps, cancellationToken))
        {
            await foreach (string name in plans.ReferredAsync(sweep, cancellationToken))
            {
                old.Remove(name);
            }
        }

        return [.. old.Values.OrderBy(artifact => artifact.Name, StringComparer.Ordinal)];
    }
}
