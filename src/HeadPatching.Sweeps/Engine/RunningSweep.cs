using System.Collections.Concurrent;

namespace HeadPatching.Sweeps.Engine;

/// <summary>A sweep that this process has taken up, or is about to.</summary>
internal sealed class RunningSweep : IDisposable
{
    private readonly CancellationTokenSource _cancellation;
    private readonly ConcurrentBag<Task> _activities = [];
    private readonly Lock _gate = new();
    private Task? _completion;

    /// <summary>Names it.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="restart">Whether it is to run even where it has ended before.</param>
    /// <param name="hostStopping">Cancelled when the host stops.</param>
    public RunningSweep(string id, bool restart, CancellationToken hostStopping)
    {
        Id = id;
        Restart = restart;
        HostStopping = hostStopping;
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(hostStopping);
        Token = _cancellation.Token;
    }

    /// <summary>Its id.</summary>
    public string Id { get; }

    /// <summary>Whether it is to run even where it has ended before.</summary>
    public bool Restart { get; }

    /// <summary>Where it stands now; null until it is taken up here, and for good where another engine has it.</summary>
    public SweepStatus? Status { get; set; }

    /// <summary>Why it could not be taken up: the store failed; null otherwise.</summary>
    public Exception? NotTakenUp { get; set; }

    /// <summary>Whether it was asked to stop, rather than its host.</summary>
    public bool WasCancelled { get; private set; }

    /// <summary>Whether another engine has it now, so that nothing more is written of it here.</summary>
    public bool WasLost { get; private set; }

    /// <summary>Cancelled when the sweep or its host is to stop.</summary>
    public CancellationToken Token { get; }

    /// <summary>Cancelled when its host is to stop.</summary>
    public CancellationToken HostStopping { get; }

    /// <summary>Ends with the sweep; never fails.</summary>
    public Task Completion
    {
        get
        {
            lock (_gate)
            {
                return _completion ?? Task.CompletedTask;
            }
        }
    }

    /// <summary>Starts it, once.</summary>
    public void Begin(Func<Task> run)
    {
        lock (_gate)
        {
            _completion ??= Task.Run(run);
        }
    }

    /// <summary>Asks it to stop.</summary>
    public void Cancel()
    {
        WasCancelled = true;
        Stop();
    }

    /// <summary>Stops it because another engine has it.</summary>
    public void Lose()
    {
        WasLost = true;
        Stop();
    }

    /// <summary>Keeps an activity, so that none outlives the sweep.</summary>
    public Task<T> Keep<T>(Task<T> activity)
    {
        _activities.Add(activity);
        return activity;
    }

    /// <summary>Stops what still runs: after a failure, the activities that were started beside the one that failed.</summary>
    public async Task StopActivitiesAsync()
    {
        await _cancellation.CancelAsync();
        await Task.WhenAll(_activities).ContinueWith(static _ => { }, TaskScheduler.Default);
    }

    /// <inheritdoc/>
    public void Dispose() => _cancellation.Dispose();

    private void Stop()
    {
        try
        {
            _cancellation.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended at this moment.
        }
    }
}
