using HeadPatching.Functions.Orchestration;
using HeadPatching.Http;
using HeadPatching.Http.Following;
using HeadPatching.Http.Requests;
using HeadPatching.Http.Series;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Functions.Triggers;

/// <summary>Makes host and shared handlers over the durable client that a function is bound to.</summary>
public sealed class DurableHandlers
{
    private readonly IArtifactStore _store;
    private readonly SweepList _list;
    private readonly IModelCatalog _catalog;
    private readonly SweepDigests _digests;
    private readonly CallbackHosts _callbacks;
    private readonly WatchPlaces _watches;
    private readonly SweepPatterns _patterns;
    private readonly RequestLimits _limits;
    private readonly BodyBudget _bodies;
    private readonly TimeProvider _time;
    private readonly ILogger<SweepHandlers> _logger;
    private readonly ILogger<SeriesHandlers> _seriesLogger;

    /// <summary>Makes the factory.</summary>
    public DurableHandlers(
        IArtifactStore store,
        SweepList list,
        IModelCatalog catalog,
        SweepDigests digests,
        CallbackHosts callbacks,
        WatchPlaces watches,
        SweepPatterns patterns,
        RequestLimits limits,
        BodyBudget bodies,
        TimeProvider time,
        ILogger<SweepHandlers> logger,
        ILogger<SeriesHandlers> seriesLogger)
    {
        _store = store;
        _list = list;
        _catalog = catalog;
        _digests = digests;
        _callbacks = callbacks;
        _watches = watches;
        _patterns = patterns;
        _limits = limits;
        _bodies = bodies;
        _time = time;
        _logger = logger;
        _seriesLogger = seriesLogger;
    }

    /// <summary>The handlers for one call.</summary>
    public SweepHandlers Over(DurableTaskClient client) => new(Host(client), _catalog, _patterns, _digests, _callbacks, _watches, _limits, _bodies, _logger);

    /// <summary>The handlers of series for one call.</summary>
    public SeriesHandlers SeriesOver(DurableTaskClient client) => new(Host(client), _catalog, _callbacks, _limits, _bodies, _time, _seriesLogger);

    /// <summary>The host for one call.</summary>
    public DurableSweepHost Host(DurableTaskClient client) => new(client, _store, _list, _time);
}
