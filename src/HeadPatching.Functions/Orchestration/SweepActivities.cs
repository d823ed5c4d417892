using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using Microsoft.Azure.Functions.Worker;

namespace HeadPatching.Functions.Orchestration;

/// <summary>The activities as functions. What they do is in Sweeps; here they are stopped when their sweep is cancelled.</summary>
public sealed class SweepActivities
{
    private readonly IArtifactStore _store;
    private readonly PlanSweep _plan;
    private readonly CacheActivations _cache;
    private readonly EstimateEffects _estimate;
    private readonly ScreenHeads _screen;
    private readonly PatchLayer _patch;
    private readonly AssembleSweep _assemble;

    /// <summary>Makes the functions.</summary>
    public SweepActivities(
        IArtifactStore store, PlanSweep plan, CacheActivations cache, EstimateEffects estimate, ScreenHeads screen, PatchLayer patch, AssembleSweep assemble)
    {
        _store = store;
        _plan = plan;
        _cache = cache;
        _estimate = estimate;
        _screen = screen;
        _patch = patch;
        _assemble = assemble;
    }

    /// <summary>Plans the sweep.</summary>
    [Function(ActivityNames.PlanSweep)]
    public Task<PlanSummary> PlanAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) =>
        UnlessCancelledAsync(input, token => _plan.RunAsync(input, token), stopping);

    /// <summary>Caches a chunk's activations.</summary>
    [Function(ActivityNames.CacheActivations)]
    public Task<CacheReport> CacheAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) =>
        UnlessCancelledAsync(input, token => _cache.RunAsync(input, token), stopping);

    /// <summary>Estimates a chunk's effects.</summary>
    [Function(ActivityNames.EstimateEffects)]
    public Task<EstimateReport> EstimateAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) =>
        UnlessCancelledAsync(input, token => _estimate.RunAsync(input, token), stopping);

    /// <summary>Chooses the heads to run after the estimate.</summary>
    [Function(ActivityNames.ScreenHeads)]
    public Task<ScreenReport> ScreenAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) =>
        UnlessCancelledAsync(input, token => _screen.RunAsync(input, token), stopping);

    /// <summary>Patches a layer over a chunk.</summary>
    [Function(ActivityNames.PatchLayer)]
    public Task<LayerReport> PatchAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) =>
        UnlessCancelledAsync(input, token => _patch.RunAsync(input, progress: null, token), stopping);

    /// <summary>Assembles the result.</summary>
    [Function(ActivityNames.AssembleSweep)]
    public Task<SweepSummary> AssembleAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) =>
        UnlessCancelledAsync(input, token => _assemble.RunAsync(input, token), stopping);

    private async Task<T> UnlessCancelledAsync<T>(ActivityInput input, Func<CancellationToken, Task<T>> run, CancellationToken stopping)
    {
        await using CancelWatch watch = CancelWatch.Start(_store, input.SweepId, stopping);
        try
        {
            return await run(watch.Token);
        }
        catch (OperationCanceledException) when (watch.SweepIsCancelled)
        {
            // Where the sweep was deleted meanwhile, what the activity wrote goes after it.
            await _store.DeleteLeftoversAsync(input.SweepId, CancellationToken.None);
            throw new SweepCancelledException(); // not worth a retry, unlike an activity that its host stopped
        }
        catch (InvalidInputException e)
        {
            // Kept in the store, for the status: a failure's details hold text only.
            await _store.WriteJsonIfAbsentAsync(SweepArtifacts.Error(input.SweepId), new SweepError(SweepError.InvalidRequest, e.Faults), stopping);
            throw;
        }
        catch (Exception e) when (e is not OperationCanceledException && !RetryRules.IsWorthRetrying(e))
        {
            throw new PermanentFailureException(e);
        }
    }
}
