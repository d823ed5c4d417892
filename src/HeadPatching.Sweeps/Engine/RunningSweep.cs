using System.Collections.Concurrent;

namespace HeadPatching.Sweeps.Engine;

/// <summary>A sweep that runs in this process.</summary>
internal sealed class RunningSweep
{
    private readonly CancellationTokenSource _cancellation;
    private readonly ConcurrentBag<Task> _activities = [];
    private readonly Lock _gate = new();
    private Task? _completion;

    public RunningSweep(SweepStatus status, CancellationToken hostStopping)
    {
        Status = status;
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(hostStopping);
        Token = _cancellation.Token;
    }

    /// <summary>Where it stands now.</summary>
    public SweepStatus Status { get; set; }

    /// <summary>Whether it was asked to stop, rather than its host.</summary>
    public bool WasCancelled { get; private set; }

    /// <summary>Cancelled when the sweep or its host is to stop.</summary>
    public CancellationToken Token { get; }

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
        try
        {
            _cancellation.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended at this moment.
        }
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
        _cancellation.Dispose();
    }
}
