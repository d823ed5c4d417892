using System.Diagnostics;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Sweeps.Engine;

/// <summary>
/// Takes a sweep up and runs it to its end: the lease, the first status, the workflow with a watch beside it, the last status. Whatever
/// process dies at whatever line, the store says what was reached, and the next engine goes on from there.
/// </summary>
internal sealed class SweepRunner
{
    private readonly IArtifactStore _store;
    private readonly SweepLeases _leases;
    private readonly ActivityRunner _activities;
    private readonly EngineOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Action<SweepStatus> _changed;

    public SweepRunner(
        IArtifactStore store,
        SweepLeases leases,
        ActivityRunner activities,
        EngineOptions options,
        TimeProvider time,
        ILogger logger,
        Action<SweepStatus> changed)
    {
        _store = store;
        _leases = leases;
        _activities = activities;
        _options = options;
        _time = time;
        _logger = logger;
        _changed = changed;
    }

    /// <summary>Runs a sweep, unless another engine has it or there is nothing to run. Never fails: what kept it from being taken up is in the sweep.</summary>
    public async Task RunAsync(RunningSweep sweep)
    {
        SweepLease? lease = null;
        try
        {
            lease = await _activities.RetryAsync(stop => _leases.TryTakeAsync(sweep.Id, stop), sweep.HostStopping);
            if (lease is not null && await _activities.RetryAsync(stop => BeginAsync(sweep, stop), sweep.HostStopping) is Beginning beginning)
            {
                await RunToEndAsync(sweep, lease, beginning.TraceParent);
            }
        }
        catch (OperationCanceledException) when (sweep.HostStopping.IsCancellationRequested)
        {
            // It is as it was.
        }
        catch (Exception e)
        {
            Log.SweepNotTakenUp(_logger, e, sweep.Id);
            sweep.NotTakenUp = e;
        }

        await ReleaseAsync(sweep, lease);
    }

    /// <summary>Stores the first status of a run: running, or what became of the sweep otherwise.</summary>
    /// <returns>What to run; null where there is nothing to run.</returns>
    private async Task<Beginning?> BeginAsync(RunningSweep sweep, CancellationToken cancellationToken)
    {
        if (sweep.Restart)
        {
            await _store.DeleteAsync(SweepArtifacts.CancelMark(sweep.Id), cancellationToken);
        }

        while (true)
        {
            StoredText? text = await _store.ReadTextAsync(SweepArtifacts.Status(sweep.Id), cancellationToken);
            SweepStatus? known = Known(sweep, text);
            if (known is not null && known.HasEnded && !sweep.Restart)
            {
                return null;
            }

            var (traceParent, next) = await NextAsync(sweep, known, cancellationToken);
            if (next is null)
            {
                await _store.DeleteLeftoversAsync(sweep.Id, cancellationToken); // it was deleted before the lease was taken, which now is all there is
                return null;
            }

            next = next with { Run = (known?.Run ?? 0) + 1 };
            if (await _store.TryReplaceStatusAsync(next, text?.ETag, cancellationToken))
            {
                Set(sweep, next);
                return next.HasEnded ? null : new Beginning(traceParent);
            }
        }
    }

    /// <summary>The status that a sweep has once it is taken up; null where there is no such sweep.</summary>
    private async Task<(string? TraceParent, SweepStatus? Next)> NextAsync(RunningSweep sweep, SweepStatus? known, CancellationToken cancellationToken)
    {
        try
        {
            if (await _store.ReadRequestAsync(sweep.Id, cancellationToken) is not StoredRequest request)
            {
                return known is null ? (null, null) : throw new DamagedArtifactException(SweepArtifacts.Request(sweep.Id), "it is not there");
            }

            SweepStatus queued = SweepStatus.Queued(request);
            bool cancelled = await _store.ExistsAsync(SweepArtifacts.CancelMark(sweep.Id), cancellationToken);
            return (request.TraceParent, cancelled ? Ended(known ?? queued, SweepState.Cancelled) : queued with { Status = SweepState.Running });
        }
        catch (DamagedArtifactException e)
        {
            SweepStatus damaged = SweepStatus.Damaged(sweep.Id, e.Message, _time.GetUtcNow());
            return (null, known is null ? damaged : known with { Status = SweepState.Damaged, Error = damaged.Error });
        }
    }

    /// <summary>The stored status. One that cannot be read ends the sweep; a restart writes over it.</summary>
    private SweepStatus? Known(RunningSweep sweep, StoredText? text)
    {
        try
        {
            return text is null ? null : StoredStatus.Parse(sweep.Id, text.Text);
        }
        catch (DamagedArtifactException e)
        {
            return sweep.Restart ? null : SweepStatus.Damaged(sweep.Id, e.Message, _time.GetUtcNow());
        }
    }

    private async Task RunToEndAsync(RunningSweep sweep, SweepLease lease, string? traceParent)
    {
        long started = Stopwatch.GetTimestamp();
        using Activity? span = SweepTelemetry.StartSweep(sweep.Id, traceParent);
        var writer = new StatusWriter(_store, _options.StatusInterval, sweep.Lose, _logger);
        Task watch = WatchAsync(sweep, lease);
        SweepStatus? end = null; // none where the host stops: the sweep is left as it is, for the next host to go on with
        Log.SweepStarted(_logger, sweep.Id, sweep.Status!.Patch.ToString()!, sweep.Status.Model, sweep.Status.Dataset);
        try
        {
            await SweepWorkflow.RunAsync(new InProcessContext(_activities, sweep, span?.Context ?? default, Follow));
            end = Ended(sweep.Status!, SweepState.Completed);
        }
        catch (OperationCanceledException) when (sweep.Token.IsCancellationRequested)
        {
            end = sweep.WasCancelled ? Ended(sweep.Status!, SweepState.Cancelled) : null;
        }
        catch (InvalidInputException e)
        {
            end = Ended(sweep.Status!, SweepState.Failed) with { Error = new SweepError(SweepError.InvalidRequest, e.Faults) };
        }
        catch (Exception e)
        {
            Log.SweepFailed(_logger, e, sweep.Id);
            end = Ended(sweep.Status!, SweepState.Failed) with { Error = new SweepError(e.Message, []) };
        }

        // Only when nothing of it is at work any more has it ended: who then deletes it deletes all of it.
        await sweep.StopActivitiesAsync();
        await watch;
        if (!sweep.WasLost)
        {
            await writer.FinishAsync(end ?? sweep.Status!);
        }

        if (sweep.WasLost)
        {
            Log.SweepLost(_logger, sweep.Id);
            await LeaveNothingOfADeletedSweepAsync(sweep.Id);
        }
        else
        {
            Set(sweep, end ?? sweep.Status!);
            Log.SweepEnded(_logger, sweep.Id, sweep.Status!.Status, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        void Follow(SweepStatus status)
        {
            Set(sweep, status);
            writer.Follow(status);
        }
    }

    /// <summary>Renews the lease while the sweep runs, and looks for the mark by which a DELETE reaches it from elsewhere.</summary>
    private async Task WatchAsync(RunningSweep sweep, SweepLease lease)
    {
        long renewed = _time.GetTimestamp();
        while (!sweep.Token.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(_options.CancelInterval, _time, sweep.Token);
                if (_time.GetElapsedTime(renewed) >= _options.LeaseRenewal)
                {
                    if (!await lease.RenewAsync(sweep.Token))
                    {
                        sweep.Lose();
                    }

                    renewed = _time.GetTimestamp();
                }

                if (await _store.ExistsAsync(SweepArtifacts.CancelMark(sweep.Id), sweep.Token))
                {
                    sweep.Cancel();
                }
            }
            catch (OperationCanceledException) when (sweep.Token.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                Log.LeaseNotRenewed(_logger, e, sweep.Id); // again at the next look
            }
        }
    }

    /// <summary>What this engine wrote of a sweep after another had taken it over and it was deleted there.</summary>
    private async Task LeaveNothingOfADeletedSweepAsync(string sweepId)
    {
        try
        {
            await _store.DeleteLeftoversAsync(sweepId);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Log.StatusNotStored(_logger, e, sweepId); // a later look finds a folder without a request
        }
    }

    private async Task ReleaseAsync(RunningSweep sweep, SweepLease? lease)
    {
        try
        {
            await (lease?.ReleaseAsync() ?? Task.CompletedTask);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Log.LeaseNotRenewed(_logger, e, sweep.Id); // it runs out by itself
        }
    }

    private void Set(RunningSweep sweep, SweepStatus status)
    {
        sweep.Status = status;
        _changed(status);
    }

    private SweepStatus Ended(SweepStatus status, SweepState state) => status with { Status = state, FinishedAt = _time.GetUtcNow() };

    /// <summary>What is needed of a request to run it. The request itself may be large, and lies in the store.</summary>
    private sealed record Beginning(string? TraceParent);
}
