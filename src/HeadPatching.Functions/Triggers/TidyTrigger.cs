using HeadPatching.Functions.Orchestration;
using HeadPatching.Sweeps.Callbacks;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;

namespace HeadPatching.Functions.Triggers;

/// <summary>Every five minutes, on one host of all: what nobody's call would do.</summary>
public sealed class TidyTrigger
{
    private readonly DurableHandlers _handlers;
    private readonly AppSettings _settings;
    private readonly CallbackDeliveries _callbacks;

    /// <summary>Makes the trigger.</summary>
    public TidyTrigger(DurableHandlers handlers, AppSettings settings, CallbackDeliveries callbacks)
    {
        _handlers = handlers;
        _settings = settings;
        _callbacks = callbacks;
    }

    /// <summary>
    /// Starts what was accepted and never scheduled; purges the histories of sweeps that ended long ago; sends the callbacks of cancelled sweeps, whose
    /// orchestrations do nothing any more, and those that were tried in vain.
    /// </summary>
    [Function("TidySweeps")]
    public async Task TidyAsync([TimerTrigger("0 */5 * * * *")] TimerInfo timer, [DurableClient] DurableTaskClient client, CancellationToken stopping)
    {
        DurableSweepHost host = _handlers.Host(client);
        await host.TidyAsync(TimeSpan.FromDays(_settings.KeepHistoryDays), stopping);
        if (_callbacks.Sends)
        {
            await _callbacks.DeliverDueAsync(host.FindAsync, stopping);
        }
    }
}
