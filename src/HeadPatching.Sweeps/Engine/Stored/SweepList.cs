using System.Collections.Concurrent;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Engine.Stored;

/// <summary>
/// The sweeps of a store. The folders are listed, no artifact in them; a status that is final is read once and remembered, since it stays as it
/// is.
/// </summary>
public sealed class SweepList
{
    private const int ReadsAtOnce = 16;

    // The id of a sweep that was posted without a key is never used again; under another, a sweep may come anew, at another server.
    private static readonly TimeSpan RememberedUnderAKey = TimeSpan.FromMinutes(10);

    private readonly IArtifactStore _store;
    private readonly TimeProvider _time;
    private readonly Func<string, SweepStatus?> _running;
    private readonly ConcurrentDictionary<string, (SweepStatus Status, long ReadAt)> _final = new();

    /// <summary>Makes the list.</summary>
    /// <param name="store">The store.</param>
    /// <param name="time">The clock.</param>
    /// <param name="running">The status of a sweep that runs here; null where it does not, or none does.</param>
    public SweepList(IArtifactStore store, TimeProvider time, Func<string, SweepStatus?>? running = null)
    {
        _store = store;
        _time = time;
        _running = running ?? (_ => null);
    }

    /// <summary>Every sweep's status, and the folders in which there is no sweep: what is left of one that was deleted.</summary>
    public async Task<(IReadOnlyCollection<SweepStatus> Sweeps, IReadOnlyCollection<string> Leftovers)> ReadAsync(CancellationToken cancellationToken = default)
    {
        HashSet<string> ids = await _store.ListFoldersAsync(SweepArtifacts.Sweeps, cancellationToken).Where(SweepIds.IsValid).ToHashSetAsync(cancellationToken: cancellationToken);
        ids.ExceptWith(await _store.ListFoldersAsync(SweepArtifacts.Deletions, cancellationToken).ToListAsync(cancellationToken));

        foreach (string gone in _final.Keys.Where(id => !ids.Contains(id)))
        {
            _final.TryRemove(gone, out _);
        }

        // Those that run here are looked at last and all at one moment: else a sweep could be listed as running beside its successor.
        var found = new ConcurrentDictionary<string, SweepStatus>();
        await ReadAsync(ids.Where(id => _running(id) is null));
        foreach (var (id, status) in ids.Where(id => !found.ContainsKey(id)).Select(id => (id, _running(id))).ToList())
        {
            if (status is not null)
            {
                found[id] = status;
            }
        }

        await ReadAsync(ids.Where(id => !found.ContainsKey(id))); // it ended meanwhile
        return ([.. found.Values], [.. ids.Where(id => !found.ContainsKey(id))]);

        Task ReadAsync(IEnumerable<string> some) =>
            Parallel.ForEachAsync(some, new ParallelOptions { MaxDegreeOfParallelism = ReadsAtOnce, CancellationToken = cancellationToken }, async (id, stop) =>
            {
                if (await FindAsync(id, stop) is SweepStatus status)
                {
                    found[id] = status;
                }
            });
    }

    /// <summary>Forgets a sweep that was deleted here.</summary>
    public void Forget(string sweepId) => _final.TryRemove(sweepId, out _);

    private async Task<SweepStatus?> FindAsync(string id, CancellationToken cancellationToken)
    {
        if (_final.TryGetValue(id, out var known) && (SweepIds.IsNeverUsedAgain(id) || _time.GetElapsedTime(known.ReadAt) < RememberedUnderAKey))
        {
            return known.Status;
        }

        SweepStatus? status = await _store.FindStatusAsync(id, cancellationToken);
        if (status is { HasEnded: true, Status: not SweepState.Damaged })
        {
            _final[id] = (status, _time.GetTimestamp());
        }

        return status;
    }
}
