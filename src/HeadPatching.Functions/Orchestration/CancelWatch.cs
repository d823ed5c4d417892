using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Functions.Orchestration;

/// <summary>Looks for a sweep's cancel mark while one of its activities runs: the only way in which the call that cancels reaches another host.</summary>
internal sealed class CancelWatch : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _cancelled;
    private readonly CancellationTokenSource _over = new();
    private readonly Task _watching;

    private CancelWatch(IArtifactStore store, string sweepId, CancellationToken stopping)
    {
        _cancelled = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _watching = WatchAsync(store, sweepId);
    }

    /// <summary>Cancelled with the sweep or with the host.</summary>
    public CancellationToken Token => _cancelled.Token;

    /// <summary>Whether it was the sweep.</summary>
    public bool SweepIsCancelled { get; private set; }

    /// <summary>Begins to look.</summary>
    public static CancelWatch Start(IArtifactStore store, string sweepId, CancellationToken stopping) => new(store, sweepId, stopping);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _watching;
        _over.Dispose();
        _cancelled.Dispose();
    }

    private async Task WatchAsync(IArtifactStore store, string sweepId)
    {
        string mark = SweepArtifacts.CancelMark(sweepId), request = SweepArtifacts.Request(sweepId);
        try
        {
            // The mark goes with the sweep, when that is deleted right after it was cancelled.
            while (!await store.ExistsAsync(mark, _over.Token) && await store.ExistsAsync(request, _over.Token))
            {
                await Task.Delay(Interval, _over.Token);
            }

            SweepIsCancelled = true;
            await _cancelled.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // The activity is over.
        }
        catch (Exception) when (!_over.IsCancellationRequested)
        {
            // A store that cannot be asked fails the activity itself where it matters; the watch alone is no reason to.
        }
    }
}
