using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Functions.Orchestration;

/// <summary>Looks for a sweep's cancel mark while one of its activities runs: the only way in which the call that cancels reaches another host.</summary>
internal sealed class CancelWatch : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly IArtifactStore _store;
    private readonly string _sweepId;
    private readonly CancellationTokenSource _cancelled;
    private readonly CancellationTokenSource _over = new();
    private readonly Task _watching;

    private CancelWatch(IArtifactStore store, string sweepId, CancellationToken stopping)
    {
        _store = store;
        _sweepId = sweepId;
        _cancelled = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _watching = WatchAsync();
    }

    /// <summary>Cancelled with the sweep or with the host.</summary>
    public CancellationToken Token => _cancelled.Token;

    /// <summary>Whether it was the sweep.</summary>
    public bool SweepIsCancelled { get; private set; }

    /// <summary>Begins to look, for the first time after an interval: <see cref="LookAsync"/> is for before.</summary>
    public static CancelWatch Start(IArtifactStore store, string sweepId, CancellationToken stopping) => new(store, sweepId, stopping);

    /// <summary>Looks now, so that an activity that a cancelled sweep has left in the queue costs this one look: no plan is read and no model loaded for it.</summary>
    /// <exception cref="SweepCancelledException">The sweep is cancelled.</exception>
    public async Task LookAsync()
    {
        if (await _store.ExistsAsync(SweepArtifacts.CancelMark(_sweepId), Token))
        {
            throw new SweepCancelledException();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _watching;
        _over.Dispose();
        _cancelled.Dispose();
    }

    private async Task WatchAsync()
    {
        string mark = SweepArtifacts.CancelMark(_sweepId), request = SweepArtifacts.Request(_sweepId);
        try
        {
            // The mark goes with the sweep, when that is deleted right after it was cancelled.
            do
            {
                await Task.Delay(Interval, _over.Token);
            }
            while (!await _store.ExistsAsync(mark, _over.Token) && await _store.ExistsAsync(request, _over.Token));

            SweepIsCancelled = true;
            await _cancelled.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // The activity is over.
        }
        catch (Exception)
        {
            // A store that cannot be asked fails the activity itself where it matters; the watch alone is no reason to.
        }
    }
}
