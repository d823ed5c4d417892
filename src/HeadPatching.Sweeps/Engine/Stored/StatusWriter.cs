using HeadPatching.Sweeps.Storage;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Sweeps.Engine.Stored;

/// <summary>
/// Keeps the stored status of one run after the one in memory, not oftener than an interval: a sweep of many short activities shall not
/// wait for its own status. A status that cannot be stored is not worth a failed sweep; only the last one must be.
/// </summary>
internal sealed class StatusWriter
{
    private readonly IArtifactStore _store;
    private readonly TimeSpan _interval;
    private readonly Action _superseded;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _finishing = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SweepStatus? _next;
    private Task _writing = Task.CompletedTask;

    /// <summary>Makes the writer of a run.</summary>
    /// <param name="store">The store.</param>
    /// <param name="interval">How often it writes at the most.</param>
    /// <param name="superseded">Told when another engine's run has taken this one's place.</param>
    /// <param name="logger">Where it says what could not be stored.</param>
    public StatusWriter(IArtifactStore store, TimeSpan interval, Action superseded, ILogger logger)
    {
        _store = store;
        _interval = interval;
        _superseded = superseded;
        _logger = logger;
    }

    /// <summary>Has this status stored soon, unless a later one comes first.</summary>
    public void Follow(SweepStatus status)
    {
        lock (_gate)
        {
            _next = status;
            if (_writing.IsCompleted)
            {
                _writing = WriteAsync();
            }
        }
    }

    /// <summary>Stores the last status.</summary>
    public async Task FinishAsync(SweepStatus status)
    {
        Task writing;
        lock (_gate)
        {
            _next = null;
            writing = _writing;
        }

        _finishing.SetResult(); // nobody waits for the rest of an interval
        await writing;

        // Where it cannot be stored, the next look at the store finds the sweep unfinished, runs it, finds every artifact there, and stores it then.
        await StoreAsync(status);
    }

    private async Task WriteAsync()
    {
        while (true)
        {
            SweepStatus? status;
            lock (_gate)
            {
                (status, _next) = (_next, null);
                if (status is null)
                {
                    _writing = Task.CompletedTask;
                    return;
                }
            }

            await StoreAsync(status);
            await Task.WhenAny(Task.Delay(_interval), _finishing.Task);
        }
    }

    private async Task StoreAsync(SweepStatus status)
    {
        try
        {
            if (!await _store.AdvanceStatusAsync(status))
            {
                _superseded();
            }
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Log.StatusNotStored(_logger, e, status.Id);
        }
    }
}
