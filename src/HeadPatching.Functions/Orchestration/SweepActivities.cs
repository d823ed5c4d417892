using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Callbacks;
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
    /// <summary>How long an activity waits for a place where its sweep has one on this host; then it is turned away, for another host to take or to come again.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(0.6);

    /// <summary>Longer than a callback's orchestration waits between two attempts.</summary>
    private static readonly TimeSpan LongestCallbackWait = TimeSpan.FromHours(2);

    private readonly IArtifactStore _store;
    private readonly ActivityTable _activities;
    private readonly FairSlots _slots;
    private readonly CallbackDeliveries _callbacks;

    /// <summary>Makes the functions.</summary>
    /// <param name="store">Where artifacts are kept.</param>
    /// <param name="activities">What they do.</param>
    /// <param name="slots">The places of this host in which they run.</param>
    /// <param name="callbacks">The callbacks that are to be sent.</param>
    public SweepActivities(IArtifactStore store, ActivityTable activities, FairSlots slots, CallbackDeliveries callbacks)
    {
        _store = store;
        _activities = activities;
        _slots = slots;
        _callbacks = callbacks;
    }

    /// <summary>Plans the sweep.</summary>
    [Function(ActivityNames.PlanSweep)]
    public Task<Served<PlanSize>> PlanAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<PlanSize>(ActivityNames.PlanSweep, input, stopping);

    /// <summary>Makes the activations of a part's chunks.</summary>
    [Function(ActivityNames.CacheActivations)]
    public Task<Served<WorkReport>> CacheAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.CacheActivations, input, stopping);

    /// <summary>Takes the sums of means over all pairs.</summary>
    [Function(ActivityNames.SumActivations)]
    public Task<Served<WorkReport>> SumAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.SumActivations, input, stopping);

    /// <summary>Estimates the effects of a part's chunks.</summary>
    [Function(ActivityNames.EstimateEffects)]
    public Task<Served<WorkReport>> EstimateAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.EstimateEffects, input, stopping);

    /// <summary>Chooses the heads to run after the estimate.</summary>
    [Function(ActivityNames.ScreenHeads)]
    public Task<Served<int>> ScreenAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<int>(ActivityNames.ScreenHeads, input, stopping);

    /// <summary>Runs the patches of a part.</summary>
    [Function(ActivityNames.PatchHeads)]
    public Task<Served<WorkReport>> PatchAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.PatchHeads, input, stopping);

    /// <summary>Decides of an adaptive sweep which heads are run on which pairs next.</summary>
    [Function(ActivityNames.DecideHeads)]
    public Task<Served<NextHeads>> DecideAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<NextHeads>(ActivityNames.DecideHeads, input, stopping);

    /// <summary>Runs a part of a round of an adaptive sweep.</summary>
    [Function(ActivityNames.PatchDrawn)]
    public Task<Served<WorkReport>> PatchDrawnAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.PatchDrawn, input, stopping);

    /// <summary>Decides which sets of nodes are patched next.</summary>
    [Function(ActivityNames.PlanRound)]
    public Task<Served<NextRound>> PlanRoundAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<NextRound>(ActivityNames.PlanRound, input, stopping);

    /// <summary>Patches a part of a round's sets.</summary>
    [Function(ActivityNames.PatchSets)]
    public Task<Served<WorkReport>> PatchSetsAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.PatchSets, input, stopping);

    /// <summary>Attributes the metric of a group's clean runs to the parts of the model.</summary>
    [Function(ActivityNames.AttributeLogits)]
    public Task<Served<WorkReport>> AttributeAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<WorkReport>(ActivityNames.AttributeLogits, input, stopping);

    /// <summary>Reads the attention patterns that the report shows, and writes it.</summary>
    [Function(ActivityNames.ReadPatterns)]
    public Task<Served<AssembleReport>> PatternsAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<AssembleReport>(ActivityNames.ReadPatterns, input, stopping);

    /// <summary>Assembles the result.</summary>
    [Function(ActivityNames.AssembleSweep)]
    public Task<Served<AssembleReport>> AssembleAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) => RunAsync<AssembleReport>(ActivityNames.AssembleSweep, input, stopping);

    /// <summary>Sends the callback of a sweep that has ended; fails where it does not arrive, to be run again later.</summary>
    [Function(SweepOrchestrator.SendCallbackName)]
    public Task SendCallbackAsync([ActivityTrigger] ActivityInput input, CancellationToken stopping) =>
        _callbacks.DeliverAsync(input.SweepId, input.Ended ?? SweepState.Completed, LongestCallbackWait, stopping);

    private Task<Served<T>> RunAsync<T>(string name, ActivityInput input, CancellationToken stopping) => UnlessCancelledAsync(
        input,
        async token =>
        {
            using IDisposable? slot = await _slots.TakeAsync(input.SweepId, Patience, token);
            return slot is null ? new Served<T>(default) { TurnedAway = true } : new Served<T>((T)await _activities.RunAsync(name, input, progress: null, token));
        },
        stopping);

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
