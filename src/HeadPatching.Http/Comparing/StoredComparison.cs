using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Reports.Comparing;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Http.Comparing;

/// <summary>Sweeps of a store, to be compared.</summary>
public static class StoredComparison
{
    /// <summary>A completed sweep; null where the store has no result of it.</summary>
    /// <param name="store">The store.</param>
    /// <param name="id">The sweep.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="DamagedArtifactException">The result cannot be read.</exception>
    public static async Task<ComparedSweep?> ReadAsync(IArtifactStore store, string id, CancellationToken cancellationToken)
    {
        if (await store.ReadJsonAsync<SweepResult>(SweepArtifacts.Result(id, ResultJson.File.Name), cancellationToken) is not SweepResult result)
        {
            return null;
        }

        string? pairs = result.PairsFile is string file ? SweepArtifacts.Result(id, file) : null;
        bool arePairs = pairs is not null && await store.ExistsAsync(pairs, cancellationToken);
        return StoredPairNumbers.Compared(result, arePairs ? stop => store.RequireReadAsync(pairs!, stop) : null, pairs ?? "");
    }
}
