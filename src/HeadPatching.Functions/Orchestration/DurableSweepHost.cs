using System.Collections.Concurrent;
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

    /// <summary>A lease of the embedded engine that was not renewed for so long is nobody's: by the store's clock and this host's, which may differ somewhat.</summary>
    private static readonly TimeSpan LeaseStandsAtMost = TimeSpan.FromMinutes(1);

    private const int LooksAtOnce = 16;

    private readonly DurableTaskClient _client;
    private readonly SweepList _list;
    private readonly TimeProvider _time;

    /// <summary>Makes a host of the client that a function is bound to.</summary>
    /// <param name="client">The durable engine.</param>
    /// <param name="store">Where the artifacts are.</param>
    /// <param name="list">The sweeps of that store, kept by the process: it remembers those that have ended.</param>
    /// <param name="time">The clock.</param>
    public DurableSweepHost(DurableTaskClient client, IArtifactStore store, SweepList list, TimeProvider time)
    {
        _client = client;
        Store = store;
        _list = list;
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
        SweepStatus? status = outcome == SubmissionOutcome.Accepted ? null : await FindAsync(id, cancellationToken);
        if (outcome == SubmissionOutcome.Accepted || (outcome == SubmissionOutcome.Known && status is not null && await IsForgottenAsync(status, cancellationToken)))
        {
            await ScheduleAsync(id, cancellationToken);
            status = await FindAsync(id, cancellationToken);
        }

        return new Submission(outcome, status ?? SweepStatus.Queued(stored));
    }

    /// <inheritdoc/>
    public async Task<SweepStatus?> FindAsync(string sweepId, CancellationToken cancellationToken = default) =>
        SweepIds.IsValid(sweepId) && await Store.FindStatusAsync(sweepId, cancellationToken) is SweepStatus stored ? await StatusAsync(stored, cancellationToken) : null;

    /// <inheritdoc/>
    public async Task<SweepPage> ListAsync(
        int limit = int.MaxValue, string? after = null, SweepFilter? filter = null, CancellationToken cancellationToken = default)
    {
        var (stored, _) = await _list.ReadAsync(cancellationToken);
        var statuses = new ConcurrentBag<SweepStatus>();
        await Parallel.ForEachAsync(stored, new ParallelOptions { MaxDegreeOfParallelism = LooksAtOnce, CancellationToken = cancellationToken }, async (status, stop) =>
            statuses.Add(await StatusAsync(status, stop)));
        return SweepPage.Of(statuses, limit, after, filter);
    }

    /// <summary>
    /// Starts what was accepted and never scheduled, because who accepted it died at that moment, or ran it on another engine and is no more;
    /// and purges the histories of sweeps that ended some time ago: how they ended is in the store.
    /// </summary>
    /// <param name="keepHistory">How long a history is kept after its end.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async Task TidyAsync(TimeSpan keepHistory, CancellationToken cancellationToken = default)
    {
        foreach (SweepStatus status in (await ListAsync(cancellationToken: cancellationToken)).Sweeps.Where(status => !status.HasEnded))
        {
            if (await IsForgottenAsync(status, cancellationToken))
            {
                await ScheduleAsync(status.Id, cancellationToken);
            }
        }

        DateTimeOffset before = _time.GetUtcNow() - keepHistory;
        var ended = new OrchestrationQuery
        {
            CreatedTo = before,
            Statuses = [OrchestrationRuntimeStatus.Completed, OrchestrationRuntimeStatus.Failed, OrchestrationRuntimeStatus.Terminated],
        };
        await foreach (OrchestrationMetadata instance in _client.GetAllInstancesAsync(ended).Where(instance => instance.LastUpdatedAt < before).WithCancellation(cancellationToken))
        {
            await FindAsync(instance.InstanceId, cancellationToken); // stores how it ended; of no sweep is there anything to store
            await _client.PurgeInstanceAsync(instance.InstanceId, cancellation: cancellationToken);
        }
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
        if (await IsForgottenAsync(status, cancellationToken))
        {
            await Store.DeleteSweepAsync(sweepId, async stop => await _client.GetInstanceAsync(sweepId, stop) is null, cancellationToken);
            return Removal.Deleted;
        }

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
        bool hasCallback = await Store.ExistsAsync(SweepArtifacts.Callback(id), cancellationToken);
        try
        {
            await _client.ScheduleNewOrchestrationInstanceAsync(
                SweepOrchestrator.Name, hasCallback, new StartOrchestrationOptions(InstanceId: id), cancellationToken);
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

    /// <summary>
    /// Whether nobody runs a sweep that has not ended: it has no instance, though it was asked for long enough ago, and no other engine on the
    /// store holds its lease.
    /// </summary>
    private async Task<bool> IsForgottenAsync(SweepStatus status, CancellationToken cancellationToken)
    {
        if (status.HasEnded || _time.GetUtcNow() - status.CreatedAt < SchedulingTakesAtMost || await _client.GetInstanceAsync(status.Id, cancellationToken) is not null)
        {
            return false;
        }

        string lease = SweepArtifacts.Lease(status.Id);
        ArtifactInfo? held = await Store.ListAsync(SweepArtifacts.Folder(status.Id), cancellationToken).FirstOrDefaultAsync(artifact => artifact.Name == lease, cancellationToken);
        return held is null || held.Length == 0 || _time.GetUtcNow() - held.LastModified > LeaseStandsAtMost;
    }

    /// <summary>
    /// A sweep's status: while it runs, what is stored is that it was asked for, and where it stands is in its instance. How it ended is
    /// stored when it is first seen to have.
    /// </summary>
    private async Task<SweepStatus> StatusAsync(SweepStatus stored, CancellationToken cancellationToken)
    {
        if (stored.HasEnded || await _client.GetInstanceAsync(stored.Id, getInputsAndOutputs: true, cancellationToken) is not OrchestrationMetadata instance)
        {
            return stored;
        }

        SweepState state = instance.RuntimeStatus switch
        {
            OrchestrationRuntimeStatus.Pending => SweepState.Queued,
            OrchestrationRuntimeStatus.Completed => SweepState.Completed,
            OrchestrationRuntimeStatus.Failed => SweepState.Failed,
            OrchestrationRuntimeStatus.Terminated => SweepState.Cancelled,
            _ => SweepState.Running,
        };
        SweepStatus status = stored with
        {
            Status = state,
            Progress = instance.SerializedCustomStatus is null ? stored.Progress : instance.ReadCustomStatusAs<SweepProgress>() ?? stored.Progress,
        };
        if (!status.HasEnded)
        {
            return status;
        }

        status = status with
        {
            FinishedAt = instance.LastUpdatedAt,
            Error = state == SweepState.Failed ? await ErrorAsync(stored.Id, instance, cancellationToken) : null,
        };
        await Store.StoreEndAsync(status, cancellationToken);
        return status;
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
