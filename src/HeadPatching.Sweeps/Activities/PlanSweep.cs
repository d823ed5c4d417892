using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Validates, tokenises, fingerprints and cuts into chunks; writes the plan.</summary>
public sealed class PlanSweep
{
    private readonly IArtifactStore _store;
    private readonly IModelCatalog _catalog;

    /// <summary>Makes the activity.</summary>
    public PlanSweep(IArtifactStore store, IModelCatalog catalog)
    {
        _store = store;
        _catalog = catalog;
    }

    /// <summary>Plans the sweep, or reads the plan that is there.</summary>
    /// <exception cref="Core.Faults.InvalidInputException">The request cannot be swept.</exception>
    public async Task<PlanSummary> RunAsync(ActivityInput input, CancellationToken cancellationToken = default)
    {
        string name = SweepArtifacts.Plan(input.SweepId);
        if (await _store.ReadJsonAsync<SweepPlan>(name, cancellationToken) is SweepPlan known)
        {
            return known.Summary();
        }

        var stored = await _store.RequireJsonAsync<StoredRequest>(SweepArtifacts.Request(input.SweepId), cancellationToken);
        SweepPlan plan = await SweepPlanner.PlanAsync(stored.Request, stored.CreatedAt, _catalog, FaultPlaces.JsonPaths, cancellationToken);
        await _store.WriteJsonIfAbsentAsync(name, plan, cancellationToken);
        return plan.Summary();
    }
}
