using HeadPatching.Sweeps.Storage;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Sweeps.Engine;

/// <summary>
/// Keeps the stored status of one sweep after the one in memory, not oftener than an interval: a sweep of many short activities shall not
/// wait for its own status. A status that cannot be stored is not worth a failed sweep; only the last one must be.
/// </summary>
internal sealed class StatusWriter
{
    private readonly IArtifactStore _store;
    private readonly TimeSpan _interval;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _finishing = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SweepStatus? _next;
    private Task _writing = Task.CompletedTask;

    public StatusWriter(IArtifactStore store, TimeSpan interval, ILogger logger)
    {
        _store = store;
        _interval = interval;
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
        try
        {
            await _store.ReplaceStatusAsync(status);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The next host finds the sweep unfinished, runs it, finds every artifact there, and stores the status then.
            Log.StatusNotStored(_logger, e, status.Id);
        }
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

            try
            {
                await _store.ReplaceStatusAsync(status);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                Log.StatusNotStored(_logger, e, status.Id);
            }

            await Task.WhenAny(Task.Delay(_interval), _finishing.Task);
        }
    }
}
