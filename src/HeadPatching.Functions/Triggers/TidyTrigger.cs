using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;

namespace HeadPatching.Functions.Triggers;

/// <summary>Every five minutes, on one host of all: what nobody's call would do.</summary>
public sealed class TidyTrigger
{
    private readonly DurableHandlers _handlers;
    private readonly AppSettings _settings;

    /// <summary>Makes the trigger.</summary>
    public TidyTrigger(DurableHandlers handlers, AppSettings settings)
    {
        _handlers = handlers;
        _settings = settings;
    }

    /// <summary>Starts what was accepted and never scheduled; purges the histories of sweeps that ended long ago.</summary>
    [Function("TidySweeps")]
    public Task TidyAsync([TimerTrigger("0 */5 * * * *")] TimerInfo timer, [DurableClient] DurableTaskClient client, CancellationToken stopping) =>
        _handlers.Host(client).TidyAsync(TimeSpan.FromDays(_settings.KeepHistoryDays), stopping);
}
