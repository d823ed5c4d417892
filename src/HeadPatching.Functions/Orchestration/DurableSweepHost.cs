using HeadPatching.Sweeps.Engine;
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

        var stored = await Store.ReadJsonAsync<StoredRequest>(SweepArtifacts.Request(sweepId), cancellationToken);
        return stored is null ? null : await StatusAsync(stored, await _client.GetInstanceAsync(sweepId, getInputsAndOutputs: true, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<SweepStatus>> ListAsync(CancellationToken cancellationToken = default)
    {
        var instances = new Dictionary<string, OrchestrationMetadata>();
        await foreach (OrchestrationMetadata instance in _client.GetAllInstancesAsync(new OrchestrationQuery { FetchInputsAndOutputs = true }).WithCancellation(cancellationToken))
        {
            instances[instance.InstanceId] = instance;
        }

        var statuses = new List<SweepStatus>();
        await foreach (ArtifactInfo artifact in Store.ListAsync(SweepArtifacts.Sweeps, cancellationToken))
        {
            if (artifact.Name.EndsWith("/request.json", StringComparison.Ordinal)
                && await Store.ReadJsonAsync<StoredRequest>(artifact.Name, cancellationToken) is StoredRequest stored)
            {
                statuses.Add(await StatusAsync(stored, instances.GetValueOrDefault(stored.SweepId), cancellationToken));
            }
        }

        return [.. statuses.OrderByDescending(status => status.CreatedAt)];
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
            await _client.PurgeInstanceAsync(sweepId, cancellation: cancellationToken);
            await Store.DeletePrefixAsync(SweepArtifacts.Folder(sweepId), cancellationToken);
            return Removal.Deleted;
        }

        await Store.ReplaceTextAsync(SweepArtifacts.CancelMark(sweepId), "", cancellationToken);
        await _client.TerminateInstanceAsync(sweepId, "cancelled", cancellationToken);
        return Removal.Cancelling;
    }

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

    private async Task<SweepStatus> StatusAsync(StoredRequest stored, OrchestrationMetadata? instance, CancellationToken cancellationToken)
    {
        SweepStatus queued = SweepStatus.Queued(stored);
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
            Error = state == SweepState.Failed ? await ErrorAsync(stored.SweepId, instance, cancellationToken) : null,
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
