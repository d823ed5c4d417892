using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Chooses the heads with the largest estimates over all chunks; only they are run.</summary>
public sealed class ScreenHeads
{
    private readonly IArtifactStore _store;

    /// <summary>Makes the activity.</summary>
    public ScreenHeads(IArtifactStore store)
    {
        _store = store;
    }

    /// <summary>Chooses, or reads the choice that is there.</summary>
    public async Task<ScreenReport> RunAsync(ActivityInput input, CancellationToken cancellationToken = default)
    {
        string name = SweepArtifacts.Screen(input.SweepId);
        if (!await _store.ExistsAsync(name, cancellationToken))
        {
            var plan = await _store.RequireJsonAsync<SweepPlan>(SweepArtifacts.Plan(input.SweepId), cancellationToken);
            SweepRuns estimates = await StoredRuns.EstimatesAsync(_store, input.SweepId, plan, cancellationToken);
            var chosen = Screen.Top(plan.Request.HeadsRunAfterScreen()!.Value, plan.Pairs, estimates, plan.PatchOptions(), plan.Request.Aggregation);
            var byLayer = chosen.GroupBy(one => one.Layer).ToDictionary(layer => layer.Key, layer => layer.Select(one => one.Head).Order().ToArray());
            await _store.WriteJsonIfAbsentAsync(name, new ScreenedHeads(byLayer), cancellationToken);
        }

        var screened = await _store.RequireJsonAsync<ScreenedHeads>(name, cancellationToken);
        return new ScreenReport([.. screened.ByLayer.Keys.Order()]);
    }
}
