using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Http.Serving;

/// <summary>Sends callbacks while the server runs: soon after each sweep's end, and at the start those that an earlier server left.</summary>
internal sealed class CallbackService : BackgroundService
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);

    private readonly CallbackDeliveries _deliveries;
    private readonly ISweepHost _host;
    private readonly ILogger<CallbackService> _logger;

    public CallbackService(CallbackDeliveries deliveries, ISweepHost host, ILogger<CallbackService> logger)
    {
        _deliveries = deliveries;
        _host = host;
        _logger = logger;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (_deliveries.Sends && !stoppingToken.IsCancellationRequested)
        {
            try
            {
                await _deliveries.DeliverDueAsync(_host.FindAsync, stoppingToken);
            }
            catch (Exception e) when (e is not OutOfMemoryException && !stoppingToken.IsCancellationRequested)
            {
                Log.CallbacksNotLooked(_logger, e);
            }

            await Task.Delay(LookInterval, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
