using HeadPatching.Functions.Orchestration;
using HeadPatching.Http;
using HeadPatching.Http.Requests;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Functions.Triggers;

/// <summary>Makes the shared handlers over the durable client that a function is bound to.</summary>
public sealed class DurableHandlers
{
    private readonly IArtifactStore _store;
    private readonly IModelCatalog _catalog;
    private readonly RequestLimits _limits;
    private readonly BodyBudget _bodies;
    private readonly TimeProvider _time;
    private readonly ILogger<SweepHandlers> _logger;

    /// <summary>Makes the factory.</summary>
    public DurableHandlers(IArtifactStore store, IModelCatalog catalog, RequestLimits limits, BodyBudget bodies, TimeProvider time, ILogger<SweepHandlers> logger)
    {
        _store = store;
        _catalog = catalog;
        _limits = limits;
        _bodies = bodies;
        _time = time;
        _logger = logger;
    }

    /// <summary>The handlers for one call.</summary>
    public SweepHandlers Over(DurableTaskClient client) => new(new DurableSweepHost(client, _store, _time), _catalog, _limits, _bodies, _logger);
}
