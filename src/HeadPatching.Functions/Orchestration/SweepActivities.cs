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
    private readonly ActivityTable _activities;

    /// <summary>Makes the functions.</summary>
    public SweepActivities(IArtifactStore store, ActivityTable activities)
    {
        _store = store;
        _activities = activities;
    }

    /// <summary>Plans the sweep.</summary>
    [Function(ActivityNames.PlanSweep)]
    public Task<PlanSize> PlanAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<PlanSize>(ActivityNames.PlanSweep, input, stopping);

    /// <summary>Makes the activations of a part's chunks.</summary>
    [Function(ActivityNames.CacheActivations)]
    public Task<WorkReport> CacheAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.CacheActivations, input, stopping);

    /// <summary>Takes the sums of means over all pairs.</summary>
    [Function(ActivityNames.SumActivations)]
    public Task<WorkReport> SumAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.SumActivations, input, stopping);

    /// <summary>Estimates the effects of a part's chunks.</summary>
    [Function(ActivityNames.EstimateEffects)]
    public Task<WorkReport> EstimateAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.EstimateEffects, input, stopping);

    /// <summary>Chooses the heads to run after the estimate.</summary>
    [Function(ActivityNames.ScreenHeads)]
    public Task<int> ScreenAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<int>(ActivityNames.ScreenHeads, input, stopping);

    /// <summary>Runs the patches of a part.</summary>
    [Function(ActivityNames.PatchHeads)]
    public Task<WorkReport> PatchAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.PatchHeads, input, stopping);

    /// <summary>Assembles the result.</summary>
    [Function(ActivityNames.AssembleSweep)]
    public Task<AssembleReport> AssembleAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<AssembleReport>(ActivityNames.AssembleSweep, input, stopping);

    private Task<T> RunAsync<T>(string name, ActivityInput input, CancellationToken stopping) =>
        UnlessCancelledAsync(input, async token => (T)await _activities.RunAsync(name, input, progress: null, token), stopping);

    private async Task<T> UnlessCancelledAsync<T>(ActivityInput input, Func<CancellationToken, Task<T>> run, CancellationToken stopping)
    {
        await using CancelWatch watch = CancelWatch.Start(_store, input.SweepId, stopping);
        try
        {
            await watch.LookAsync();
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
