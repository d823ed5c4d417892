using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;

namespace HeadPatching.Functions.Orchestration;

/// <summary>Sweeps as durable orchestrations: the request is in the store, where it stands is in the durable instance of the same id.</summary>
public sealed class DurableSweepHost : ISweepHost
{
    /// <summary>A request that has no instance after this was stored by a caller that died before it scheduled one.</summary>
    private static readonly TimeSpan SchedulingTakesAtMost = TimeSpan.FromSeconds(30);

    /// <summary>How long a deletion waits for orchestrations that still go on to end: a backend that is awake takes less.</summary>
    private static readonly TimeSpan EndingTakesAtMost = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(100);

    private readonly DurableTaskClient _client;
    private readonly TimeProvider _time;

    /// <summary>Makes a host of the client that a function is bound to.</summary>
    public DurableSweepHost(DurableTaskClient client, IArtifactStore store, TimeProvider time)
    {
        _client = client;
        Store = store;
        _time = time;
    }

    /// <inheritdoc/>
    public IArtifactStore Store { get; }

    /// <inheritdoc/>
    public async Task<Submission> SubmitAsync(
        SweepRequest request, string? idempotencyKey, string? traceParent, CancellationToken cancellationToken = default)
    {
        string id = idempotencyKey is null ? SweepIds.New() : SweepIds.OfKey(idempotencyKey);
        var (outcome, stored) = await Store.StoreAsync(new StoredRequest(id, _time.GetUtcNow(), request, traceParent), cancellationToken);
        bool forgotten = outcome == SubmissionOutcome.Known && _time.GetUtcNow() - stored.CreatedAt > SchedulingTakesAtMost;
        if (outcome == SubmissionOutcome.Accepted || (forgotten && await _client.GetInstanceAsync(id, cancellationToken) is null))
        {
            await ScheduleAsync(id, cancellationToken);
        }

        return new Submission(outcome, await FindAsync(id, cancellationToken) ?? SweepStatus.Queued(stored));
    }

    /// <inheritdoc/>
    public async Task<SweepStatus?> FindAsync(string sweepId, CancellationToken cancellationToken = default)
    {
        if (!SweepIds.IsValid(sweepId))
        {
            return null;
        }

        return await StatusAsync(sweepId, await _client.GetInstanceAsync(sweepId, getInputsAndOutputs: true, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<SweepPage> ListAsync(int limit = int.MaxValue, string? after = null, CancellationToken cancellationToken = default)
    {
        var instances = new Dictionary<string, OrchestrationMetadata>();
        await foreach (OrchestrationMetadata instance in _client.GetAllInstancesAsync(new OrchestrationQuery { FetchInputsAndOutputs = true }).WithCancellation(cancellationToken))
        {
            if (SweepIds.IsValid(instance.InstanceId)) // the others run parts of sweeps
            {
                instances[instance.InstanceId] = instance;
            }
        }

        var statuses = new List<SweepStatus>();
        await foreach (string id in Store.ListFoldersAsync(SweepArtifacts.Sweeps, cancellationToken))
        {
            if (SweepIds.IsValid(id) && await StatusAsync(id, instances.GetValueOrDefault(id), cancellationToken) is SweepStatus status)
            {
                statuses.Add(status);
            }
        }

        return SweepPage.Of(statuses, limit, after);
    }

    /// <inheritdoc/>
    public async Task<Removal> RemoveAsync(string sweepId, CancellationToken cancellationToken = default)
    {
        SweepStatus? status = await FindAsync(sweepId, cancellationToken);
        if (status is null)
        {
            return Removal.Unknown;
        }

        if (status.HasEnded)
        {
            // First, so that what has not ended in time is found again when the call is made again.
            if (!await PurgePartsAsync(sweepId, cancellationToken))
            {
                return Removal.Cancelling;
            }

            await _client.PurgeInstanceAsync(sweepId, cancellation: cancellationToken);

            // The purged sweep has no instance; one that is there is of somebody who asked for it anew at this moment.
            await Store.DeleteSweepAsync(
                sweepId, async stop => await _client.GetInstanceAsync(sweepId, stop) is not { IsCompleted: false }, cancellationToken);
            return Removal.Deleted;
        }

        await Store.ReplaceTextAsync(SweepArtifacts.CancelMark(sweepId), "", cancellationToken);
        await TerminateAsync(sweepId, cancellationToken); // before its parts, so that it starts no more of them
        await foreach (OrchestrationMetadata parts in PartsAsync(sweepId).WithCancellation(cancellationToken))
        {
            if (!parts.IsCompleted)
            {
                await TerminateAsync(parts.InstanceId, cancellationToken);
            }
        }

        return Removal.Cancelling;
    }

    /// <summary>Ends and purges the orchestrations that run parts of a sweep: of a cancelled one, some may not have ended yet.</summary>
    /// <returns>Whether all are gone.</returns>
    private async Task<bool> PurgePartsAsync(string sweepId, CancellationToken cancellationToken)
    {
        DateTimeOffset patience = _time.GetUtcNow() + EndingTakesAtMost;
        var terminated = new HashSet<string>();
        while (true)
        {
            bool allGone = true;
            await foreach (OrchestrationMetadata parts in PartsAsync(sweepId).WithCancellation(cancellationToken))
            {
                if (parts.IsCompleted)
                {
                    await _client.PurgeInstanceAsync(parts.InstanceId, cancellation: cancellationToken);
                    continue;
                }

                allGone = false;
                if (terminated.Add(parts.InstanceId))
                {
                    await TerminateAsync(parts.InstanceId, cancellationToken);
                }
            }

            if (allGone || _time.GetUtcNow() > patience)
            {
                return allGone;
            }

            await Task.Delay(LookInterval, _time, cancellationToken);
        }
    }

    private async Task TerminateAsync(string instanceId, CancellationToken cancellationToken)
    {
        try
        {
            await _client.TerminateInstanceAsync(instanceId, "cancelled", cancellationToken);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested is false)
        {
            // Some backends refuse to end what has ended at this moment by itself.
            if (await _client.GetInstanceAsync(instanceId, cancellationToken) is { IsCompleted: false })
            {
                throw;
            }
        }
    }

    private AsyncPageable<OrchestrationMetadata> PartsAsync(string sweepId) =>
        _client.GetAllInstancesAsync(new OrchestrationQuery { InstanceIdPrefix = SweepOrchestrator.PartsPrefix(sweepId) });

    private async Task ScheduleAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            await _client.ScheduleNewOrchestrationInstanceAsync(
                SweepOrchestrator.Name, input: null, new StartOrchestrationOptions(InstanceId: id), cancellationToken);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested is false)
        {
            // The same key at the same moment: the other call's instance is this one's.
            if (await _client.GetInstanceAsync(id, cancellationToken) is null)
            {
                throw;
            }
        }
    }

    /// <summary>A sweep's status; null where there is no such sweep. This host stores none: what of it is in the store is the request, which may be damaged.</summary>
    private async Task<SweepStatus?> StatusAsync(string sweepId, OrchestrationMetadata? instance, CancellationToken cancellationToken)
    {
        SweepStatus? queued = await Store.FindStatusAsync(sweepId, cancellationToken);
        if (queued is null || queued.Status == SweepState.Damaged)
        {
            return queued;
        }
        if (instance is null)
        {
            return queued;
        }

        SweepState state = instance.RuntimeStatus switch
        {
            OrchestrationRuntimeStatus.Pending => SweepState.Queued,
            OrchestrationRuntimeStatus.Completed => SweepState.Completed,
            OrchestrationRuntimeStatus.Failed => SweepState.Failed,
            OrchestrationRuntimeStatus.Terminated => SweepState.Cancelled,
            _ => SweepState.Running,
        };
        SweepStatus status = queued with
        {
            Status = state,
            Progress = instance.SerializedCustomStatus is null ? queued.Progress : instance.ReadCustomStatusAs<SweepProgress>() ?? queued.Progress,
        };
        return !status.HasEnded ? status : status with
        {
            FinishedAt = instance.LastUpdatedAt,
            Error = state == SweepState.Failed ? await ErrorAsync(sweepId, instance, cancellationToken) : null,
        };
    }

    private async Task<SweepError> ErrorAsync(string sweepId, OrchestrationMetadata instance, CancellationToken cancellationToken) =>
        await Store.ReadJsonAsync<SweepError>(SweepArtifacts.Error(sweepId), cancellationToken)
        ?? new SweepError(Reason(instance), []);

    private static string Reason(OrchestrationMetadata instance)
    {
        TaskFailureDetails? failure = instance.FailureDetails;
        while (failure?.InnerFailure is TaskFailureDetails inner)
        {
            failure = inner;
        }

        // Azure Storage keeps an orchestration's failure as its output.
        return failure?.ErrorMessage ?? instance.SerializedOutput ?? "The orchestration failed.";
    }
}
