using System.Collections.Concurrent;
using System.Diagnostics;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Polly;
using Polly.Retry;

namespace HeadPatching.Sweeps.Engine;

/// <summary>
/// Runs sweeps in this process. Everything that matters is in the store: a process that was killed leaves finished layers behind, and the
/// next one goes on from there. Activities of all sweeps share one bound, so fifty sweeps take no more cores than one.
/// </summary>
public sealed class InProcessEngine : ISweepHost, IAsyncDisposable
{
    private readonly EngineOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly LoadedModels _models;
    private readonly ActivityTable _activities;
    private readonly SemaphoreSlim _activitySlots;
    private readonly SemaphoreSlim _sweepSlots;
    private readonly ConcurrentDictionary<string, RunningSweep> _running = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly ResiliencePipeline _retry;

    /// <summary>Makes an engine; it starts nothing by itself (see <see cref="ResumeAsync"/>).</summary>
    /// <param name="store">Where artifacts are kept.</param>
    /// <param name="catalog">The models that there are.</param>
    /// <param name="options">How much it does at once; null: the defaults.</param>
    /// <param name="time">The clock; null: the system's.</param>
    /// <param name="logger">Where it says what it does; null: nowhere.</param>
    public InProcessEngine(
        IArtifactStore store, IModelCatalog catalog, EngineOptions? options = null, TimeProvider? time = null, ILogger<InProcessEngine>? logger = null)
    {
        Store = store;
        _options = options ?? new EngineOptions();
        _time = time ?? TimeProvider.System;
        _logger = logger ?? NullLogger<InProcessEngine>.Instance;
        _models = new LoadedModels(catalog, threads: Math.Max(1, Environment.ProcessorCount / _options.Parallelism));
        _activities = new ActivityTable(store, catalog, _models, _time);
        _activitySlots = new SemaphoreSlim(_options.Parallelism);
        _sweepSlots = new SemaphoreSlim(_options.Parallelism);
        _retry = new ResiliencePipelineBuilder { TimeProvider = _time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = arguments => ValueTask.FromResult(
                    arguments.Outcome.Exception is Exception e && _options.Retry.MayTryAgain(after: arguments.AttemptNumber + 1, e)),
                MaxRetryAttempts = Math.Max(1, _options.Retry.MaxAttempts - 1), // Polly knows no 0; where that is meant, the line before says no
                BackoffType = DelayBackoffType.Exponential,
                Delay = _options.Retry.FirstDelay,
                MaxDelay = _options.Retry.MaxDelay,
                OnRetry = arguments =>
                {
                    if (arguments.Context.Properties.TryGetValue(RetriedActivity, out (string Name, ActivityInput Input) activity))
                    {
                        Log.ActivityRetried(
                            _logger,
                            arguments.Outcome.Exception,
                            activity.Name,
                            activity.Input.SweepId,
                            activity.Input.Part,
                            arguments.AttemptNumber + 1,
                            arguments.RetryDelay);
                    }

                    return ValueTask.CompletedTask;
                },
            })
            .Build();
    }

    /// <summary>Raised for every change of a sweep that runs here: its status, and within a layer the patched runs just made.</summary>
    public event Action<SweepStatus>? Changed;

    /// <summary>Raised after each batch of patched runs, with how many it made.</summary>
    public event Action<long>? PatchedRunsMade;

    /// <inheritdoc/>
    public IArtifactStore Store { get; }

    private static ResiliencePropertyKey<(string Name, ActivityInput Input)> RetriedActivity { get; } = new("activity");

    /// <summary>Takes up every sweep in the store that has neither ended nor been cancelled.</summary>
    /// <returns>How many there were.</returns>
    public async Task<int> ResumeAsync(CancellationToken cancellationToken = default)
    {
        int resumed = 0;
        foreach (SweepStatus status in (await ListAsync(cancellationToken)).Reverse().Where(status => !status.HasEnded))
        {
            Start(await Store.RequireJsonAsync<StoredRequest>(SweepArtifacts.Request(status.Id), cancellationToken));
            resumed++;
        }

        if (resumed > 0)
        {
            Log.SweepsResumed(_logger, resumed);
        }

        return resumed;
    }

    /// <inheritdoc/>
    public async Task<Submission> SubmitAsync(
        SweepRequest request, string? idempotencyKey, string? traceParent, CancellationToken cancellationToken = default)
    {
        string id = idempotencyKey is null ? SweepIds.New() : SweepIds.OfKey(idempotencyKey);
        var (outcome, stored) = await Store.StoreAsync(new StoredRequest(id, _time.GetUtcNow(), request, traceParent), cancellationToken);
        if (outcome == SubmissionOutcome.Accepted)
        {
            return new Submission(outcome, Start(stored).Status);
        }

        return new Submission(outcome, await FindAsync(id, cancellationToken) ?? SweepStatus.Queued(stored));
    }

    /// <summary>Runs a sweep of a given id to its end, going on where an earlier run stopped, even one that failed or was cancelled.</summary>
    /// <returns>Its final status: completed or failed.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled; the same call again goes on.</exception>
    public async Task<SweepStatus> RunAsync(string sweepId, SweepRequest request, CancellationToken cancellationToken = default)
    {
        var (_, stored) = await Store.StoreAsync(new StoredRequest(sweepId, _time.GetUtcNow(), request), cancellationToken);
        await Store.DeleteAsync(SweepArtifacts.CancelMark(sweepId), cancellationToken);
        RunningSweep sweep = Start(stored);
        await using (cancellationToken.Register(sweep.Cancel))
        {
            await sweep.Completion;
        }

        return sweep.Status.Status == SweepState.Cancelled ? throw new SweepCancelledException() : sweep.Status;
    }

    /// <inheritdoc/>
    public async Task<SweepStatus?> FindAsync(string sweepId, CancellationToken cancellationToken = default)
    {
        if (!SweepIds.IsValid(sweepId))
        {
            return null;
        }

        if (_running.TryGetValue(sweepId, out RunningSweep? running))
        {
            return running.Status;
        }

        var status = await Store.ReadJsonAsync<SweepStatus>(SweepArtifacts.Status(sweepId), cancellationToken);
        if (status is not null)
        {
            return status;
        }

        // Its process ended between storing the request and the first status.
        var stored = await Store.ReadJsonAsync<StoredRequest>(SweepArtifacts.Request(sweepId), cancellationToken);
        return stored is null ? null : SweepStatus.Queued(stored);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<SweepStatus>> ListAsync(CancellationToken cancellationToken = default)
    {
        var ids = new List<string>();
        await foreach (ArtifactInfo artifact in Store.ListAsync(SweepArtifacts.Sweeps, cancellationToken))
        {
            if (artifact.Name.EndsWith("/request.json", StringComparison.Ordinal))
            {
                ids.Add(artifact.Name.Split('/')[1]);
            }
        }

        // Those that run here are looked at last and all at one moment: else a sweep could be listed as running beside its successor.
        var statuses = new List<SweepStatus?>();
        foreach (string id in ids.Where(id => !_running.ContainsKey(id)))
        {
            statuses.Add(await FindAsync(id, cancellationToken));
        }

        var listed = statuses.OfType<SweepStatus>().Select(status => status.Id).ToHashSet();
        var running = ids.Where(id => !listed.Contains(id)).Select(id => (Id: id, _running.GetValueOrDefault(id)?.Status)).ToList();
        foreach (var (id, status) in running)
        {
            statuses.Add(status ?? await FindAsync(id, cancellationToken)); // it ended meanwhile
        }

        return [.. statuses.OfType<SweepStatus>().OrderByDescending(status => status.CreatedAt)];
    }

    /// <inheritdoc/>
    public async Task<Removal> RemoveAsync(string sweepId, CancellationToken cancellationToken = default)
    {
        _running.TryGetValue(sweepId, out RunningSweep? running);
        SweepStatus? status = running?.Status ?? await FindAsync(sweepId, cancellationToken);
        if (status is null)
        {
            return Removal.Unknown;
        }

        if (status.HasEnded)
        {
            // Its last status may still be on its way to the store, and would come back after the rest is gone.
            await (running?.Completion ?? Task.CompletedTask).WaitAsync(cancellationToken);
            await Store.DeletePrefixAsync(SweepArtifacts.Folder(sweepId), cancellationToken);
            return Removal.Deleted;
        }

        await Store.ReplaceTextAsync(SweepArtifacts.CancelMark(sweepId), "", cancellationToken);
        if (running is not null)
        {
            running.Cancel();
        }
        else
        {
            await Store.ReplaceStatusAsync(status with { Status = SweepState.Cancelled, FinishedAt = _time.GetUtcNow() }, cancellationToken);
        }

        return Removal.Cancelling;
    }

    /// <summary>Stops every sweep where it is; the store keeps what is finished, and <see cref="ResumeAsync"/> takes them up again.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return; // a container that knows it under two types disposes of it twice
        }

        await _stopping.CancelAsync();
        await Task.WhenAll(_running.Values.Select(sweep => sweep.Completion));
        _models.Dispose();
        _activitySlots.Dispose();
        _sweepSlots.Dispose();
        _stopping.Dispose();
    }

    internal async Task<TOutput> CallAsync<TOutput>(string name, ActivityInput input, ActivityContext trace, CancellationToken cancellationToken)
    {
        await _activitySlots.WaitAsync(cancellationToken);
        try
        {
            using Activity? span = SweepTelemetry.StartActivity(name, input.SweepId, input.Part, trace);
            ResilienceContext context = ResilienceContextPool.Shared.Get(cancellationToken);
            context.Properties.Set(RetriedActivity, (name, input));
            try
            {
                long started = Stopwatch.GetTimestamp();
                object output = await _retry.ExecuteAsync(
                    async resilience => await Task.Run(() => RunActivityAsync(name, input, resilience.CancellationToken), resilience.CancellationToken), context);
                Log.ActivityDone(_logger, name, input.SweepId, input.Part, Stopwatch.GetElapsedTime(started).TotalSeconds);
                return (TOutput)output;
            }
            finally
            {
                ResilienceContextPool.Shared.Return(context);
            }
        }
        finally
        {
            _activitySlots.Release();
        }
    }

    private Task<object> RunActivityAsync(string name, ActivityInput input, CancellationToken cancellationToken) =>
        _activities.RunAsync(name, input, runs => PatchedRunsMade?.Invoke(runs), cancellationToken);

    private RunningSweep Start(StoredRequest stored)
    {
        RunningSweep sweep = _running.GetOrAdd(stored.SweepId, _ => new RunningSweep(SweepStatus.Queued(stored), _stopping.Token));
        sweep.Begin(() => RunAsync(sweep, stored));
        return sweep;
    }

    private async Task RunAsync(RunningSweep sweep, StoredRequest stored)
    {
        long started = Stopwatch.GetTimestamp();
        using Activity? span = SweepTelemetry.StartSweep(stored.SweepId, stored.TraceParent);
        var writer = new StatusWriter(Store, _options.StatusInterval, _logger);
        try
        {
            Set(sweep.Status);
            await _sweepSlots.WaitAsync(sweep.Token);
            try
            {
                Set(sweep.Status with { Status = SweepState.Running });
                Log.SweepStarted(_logger, stored.SweepId, stored.Request.Patch.ToString(), stored.Request.Model, stored.Request.DatasetName());
                await SweepWorkflow.RunAsync(new InProcessContext(this, sweep, span?.Context ?? default, Set));
                Set(Ended(SweepState.Completed));
            }
            finally
            {
                _sweepSlots.Release();
            }
        }
        catch (OperationCanceledException) when (sweep.Token.IsCancellationRequested)
        {
            // When the host stops, the sweep is not cancelled but left as it is, for the next host to go on with.
            Set(sweep.WasCancelled ? Ended(SweepState.Cancelled) : sweep.Status);
        }
        catch (InvalidInputException e)
        {
            Set(Ended(SweepState.Failed) with { Error = new SweepError(SweepError.InvalidRequest, e.Faults) });
        }
        catch (Exception e)
        {
            Log.SweepFailed(_logger, e, stored.SweepId);
            Set(Ended(SweepState.Failed) with { Error = new SweepError(e.Message, []) });
        }

        await sweep.StopActivitiesAsync();
        await writer.FinishAsync(sweep.Status);
        Log.SweepEnded(_logger, stored.SweepId, sweep.Status.Status, Stopwatch.GetElapsedTime(started).TotalSeconds);
        _running.TryRemove(stored.SweepId, out _);

        SweepStatus Ended(SweepState state) => sweep.Status with { Status = state, FinishedAt = _time.GetUtcNow() };

        void Set(SweepStatus status)
        {
            sweep.Status = status;
            writer.Follow(status);
            Changed?.Invoke(status);
        }
    }
}
