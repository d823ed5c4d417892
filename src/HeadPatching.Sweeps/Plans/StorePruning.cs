using HeadPatching.Sweeps.Series;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Plans;

/// <summary>What a store holds under keys and no sweep refers to any more, and series of which no sweep is left.</summary>
public static class StorePruning
{
    /// <summary>
    /// Finds what no sweep of the store refers to and is older than a time; activations of earlier versions of the store are among it, and series that
    /// refer to no sweep.
    /// </summary>
    /// <param name="store">The store.</param>
    /// <param name="plans">Its plans.</param>
    /// <param name="olderThan">What was written since is left: a sweep that has just begun refers to nothing yet.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task<IReadOnlyList<ArtifactInfo>> UnusedAsync(
        IArtifactStore store, StoredPlans plans, DateTimeOffset olderThan, CancellationToken cancellationToken)
    {
        var old = new Dictionary<string, ArtifactInfo>(StringComparer.Ordinal);
        foreach (string folder in SweepArtifacts.KeyedFolders.Append(SweepArtifacts.Series))
        {
            await foreach (ArtifactInfo artifact in store.ListAsync(folder, cancellationToken))
            {
                if (artifact.LastModified < olderThan)
                {
                    old.Add(artifact.Name, artifact);
                }
            }
        }

        ILookup<string, string> drawn = old.Keys.Where(SweepArtifacts.IsDrawn).ToLookup(SweepArtifacts.FolderOf, StringComparer.Ordinal);

        var sweeps = new HashSet<string>();
        await foreach (string sweep in store.ListFoldersAsync(SweepArtifacts.Sweeps, cancellationToken))
        {
            sweeps.Add(sweep);
            await foreach (string name in plans.ReferredAsync(sweep, cancellationToken))
            {
                old.Remove(name);
                foreach (string run in drawn[name])
                {
                    old.Remove(run);
                }
            }
        }

        foreach (ArtifactInfo file in old.Values.Where(artifact => artifact.Name.StartsWith($"{SweepArtifacts.Series}/", StringComparison.Ordinal)).ToList())
        {
            if (await store.ReadSeriesIfWholeAsync(SeriesPage.IdOf(file), cancellationToken) is StoredSeries series && series.Sweeps.Any(sweep => sweeps.Contains(sweep.SweepId)))
            {
                old.Remove(file.Name);
            }
        }

        return [.. old.Values.OrderBy(artifact => artifact.Name, StringComparer.Ordinal)];
    }
}
