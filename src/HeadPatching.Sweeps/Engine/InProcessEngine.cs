using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace HeadPatching.Sweeps.Engine;

/// <summary>
/// Runs sweeps in this process. Everything that matters is in the store: a process that was killed leaves finished layers behind, and the
/// next one goes on from there; several engines on one store share its sweeps, each of which one of them runs at a time. Activities of all
/// sweeps share one bound, so fifty sweeps take no more cores than one.
/// </summary>
public sealed class InProcessEngine : ISweepHost, IAsyncDisposable
{
    private static readonly TimeSpan FollowInterval = TimeSpan.FromSeconds(0.5);

    private readonly EngineOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SweepLeases _leases;
    private readonly SweepList _list;
    private readonly ActivityRunner _activities;
    private readonly SweepRunner _runner;
    private readonly SweepQueue _queue = new();
    private readonly ConcurrentDictionary<string, RunningSweep> _running = new();
    private readonly HashSet<string> _saidDamaged = [];
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stopping = new();
    private Task _looking = Task.CompletedTask;
    private int _beingStored;

    /// <summary>Makes an engine; it starts nothing by itself (see <see cref="ResumeAsync"/>).</summary>
    /// <param name="store">Where artifacts are kept.</param>
    /// <param name="catalog">The models that there are.</param>
    /// <param name="reports">What is written of each result beside results.json.</param>
    /// <param name="options">How much it does at once; null: the defaults.</param>
    /// <param name="time">The clock; null: the system's.</param>
    /// <param name="logger">Where it says what it does; null: nowhere.</param>
    public InProcessEngine(
        IArtifactStore store,
        IModelCatalog catalog,
        IReadOnlyList<ResultFile> reports,
        EngineOptions? options = null,
        TimeProvider? time = null,
        ILogger<InProcessEngine>? logger = null)
    {
        Store = store;
        _options = options ?? new EngineOptions();
        _time = time ?? TimeProvider.System;
        _logger = logger ?? NullLogger<InProcessEngine>.Instance;
        _leases = new SweepLeases(store, _options.LeaseDuration, _time);
        _list = new SweepList(store, _time, id => _running.GetValueOrDefault(id)?.Status);
        _activities = new ActivityRunner(store, catalog, reports, _options, _time, _logger);
        _runner = new SweepRunner(store, _leases, _activities, _options, _time, _logger, Say);
    }

    /// <summary>Raised for every change of a sweep that runs here, or is followed by <see cref="RunAsync"/>.</summary>
    public event Action<SweepStatus>? Changed;

    /// <summary>Raised after each step of a sweep that runs here, a layer that is cached or a batch of patched runs; by several threads at once.</summary>
    public event Action<WorkStep>? WorkDone
    {
        add => _activities.WorkDone += value;
        remove => _activities.WorkDone -= value;
    }

    /// <inheritdoc/>
    public IArtifactStore Store { get; }

    /// <summary>The attention patterns of sweeps' heads.</summary>
    public SweepPatterns Patterns => _activities.Patterns;

    /// <inheritdoc/>
    public async Task<Submission> SubmitAsync(
        SweepRequest request, string? idempotencyKey, string? traceParent, CancellationToken cancellationToken = default)
    {
        string id = idempotencyKey is null ? SweepIds.New() : SweepIds.OfKey(idempotencyKey);
        Interlocked.Increment(ref _beingStored);
        try
        {
            if (_queue.Count + Volatile.Read(ref _beingStored) > _options.MostQueued && !await Store.ExistsAsync(SweepArtifacts.Request(id), cancellationToken))
            {
                throw new QueueFullException(_options.MostQueued);
            }

            var (outcome, stored) = await Store.StoreAsync(new StoredRequest(id, _time.GetUtcNow(), request, traceParent), cancellationToken);
            SweepStatus status = SweepStatus.Queued(stored);
            if (outcome == SubmissionOutcome.Accepted)
            {
                await Store.TryReplaceStatusAsync(status, etag: null, CancellationToken.None);
            }
            else
            {
                status = await FindAsync(id, cancellationToken) ?? status;
            }

            if (!status.HasEnded)
            {
                Enqueue(status); // also where it is known: whoever stored it may have died before it was queued
            }

            return new Submission(outcome, status);
        }
        finally
        {
            Interlocked.Decrement(ref _beingStored);
        }
    }

    /// <summary>
    /// Runs a sweep of a given id to its end, going on where an earlier run stopped, even one that failed or was cancelled. Where another
    /// engine runs it, it is followed to its end there.
    /// </summary>
    /// <returns>Its final status: completed or failed.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled; the same call again goes on.</exception>
    public async Task<SweepStatus> RunAsync(string sweepId, SweepRequest request, CancellationToken cancellationToken = default)
    {
        var wanted = new StoredRequest(sweepId, _time.GetUtcNow(), request);
        try
        {
            await Store.StoreAsync(wanted, cancellationToken);
        }
        catch (DamagedArtifactException)
        {
            await Store.DeleteAsync(SweepArtifacts.Request(sweepId), cancellationToken); // the id is of this very request: it is mended
            await Store.StoreAsync(wanted, cancellationToken);
        }

        while (true)
        {
            RunningSweep sweep = Start(sweepId, restart: true);
            await using (cancellationToken.Register(sweep.Cancel))
            {
                await sweep.Completion;
            }

            if (sweep.NotTakenUp is Exception failure)
            {
                ExceptionDispatchInfo.Throw(failure);
            }

            if (sweep is { Status: SweepStatus here, WasLost: false })
            {
                return here.Status is SweepState.Completed or SweepState.Failed ? here : throw new SweepCancelledException();
            }

            cancellationToken.ThrowIfCancellationRequested();
            if (await FollowAsync(sweepId, cancellationToken) is { Status: SweepState.Completed or SweepState.Failed } elsewhere)
            {
                return elsewhere;
            }
        }
    }

    /// <summary>Which other engine runs a sweep, as far as can be seen; null where none does.</summary>
    public Task<SweepOwner?> FindOwnerAsync(string sweepId, CancellationToken cancellationToken = default) => _leases.OwnerAsync(sweepId, cancellationToken);

    /// <inheritdoc/>
    public async Task<SweepStatus?> FindAsync(string sweepId, CancellationToken cancellationToken = default) =>
        !SweepIds.IsValid(sweepId) ? null
        : _running.TryGetValue(sweepId, out RunningSweep? running) && running.Status is SweepStatus status ? status
        : await Store.FindStatusAsync(sweepId, cancellationToken);

    /// <inheritdoc/>
    public async Task<SweepPage> ListAsync(
        int limit = int.MaxValue, string? after = null, SweepFilter? filter = null, CancellationToken cancellationToken = default) =>
        SweepPage.Of((await _list.ReadAsync(cancellationToken)).Sweeps, limit, after, filter);

    /// <inheritdoc/>
    public async Task<Removal> RemoveAsync(string sweepId, CancellationToken cancellationToken = default)
    {
        if (await FindAsync(sweepId, cancellationToken) is not SweepStatus status)
        {
            return Removal.Unknown;
        }

        // Of a sweep whose status cannot be read, only its lease says whether it is at work.
        bool runs = _running.ContainsKey(sweepId) || await _leases.OwnerAsync(sweepId, cancellationToken) is not null;
        if (status.HasEnded && !(status.Status == SweepState.Damaged && runs))
        {
            // Here it may be on its very last steps.
            await (_running.GetValueOrDefault(sweepId)?.Completion ?? Task.CompletedTask).WaitAsync(cancellationToken);
            await Store.DeleteSweepAsync(sweepId, async stop => await Store.FindStatusAsync(sweepId, stop) is { HasEnded: true }, cancellationToken);
            _list.Forget(sweepId);
            return Removal.Deleted;
        }

        await Store.ReplaceTextAsync(SweepArtifacts.CancelMark(sweepId), "", cancellationToken);
        _queue.Remove(sweepId);

        // Who runs it finds the mark. Where nobody does, taking it up is to find the mark and to store that it is cancelled.
        RunningSweep running = Start(sweepId, restart: false);
        running.Cancel();
        if (running.Status is null)
        {
            await running.Completion.WaitAsync(cancellationToken);
        }

        return Removal.Cancelling;
    }

    /// <summary>
    /// Takes up every sweep in the store that has not ended and that nobody runs, and from then on looks for such sweeps every few seconds: those
    /// of servers that died, and requests that were stored and never started. A store that cannot be looked through now is looked through later.
    /// </summary>
    /// <returns>How many there were.</returns>
    public async Task<int> ResumeAsync(CancellationToken cancellationToken = default)
    {
        int resumed = await TryLookAsync(cancellationToken);
        if (resumed > 0)
        {
            Log.SweepsResumed(_logger, resumed);
        }

        lock (_gate)
        {
            if (_looking.IsCompleted && !_stopping.IsCancellationRequested)
            {
                _looking = Task.Run(LookAgainAsync, CancellationToken.None);
            }
        }

        return resumed;
    }

    /// <summary>Stops every sweep where it is; the store keeps what is finished, and <see cref="ResumeAsync"/> takes them up again.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return; // a container that knows it under two types disposes of it twice
        }

        await _stopping.CancelAsync();
        await _looking;
        await Task.WhenAll(_running.Values.Select(sweep => sweep.Completion));
        _activities.Dispose();
        _stopping.Dispose();
    }

    private void Enqueue(SweepStatus status)
    {
        if (!_running.ContainsKey(status.Id))
        {
            _queue.Add(status.Id, status.CreatedAt);
        }

        StartWhatMay();
    }

    private void StartWhatMay()
    {
        lock (_gate)
        {
            while (!_stopping.IsCancellationRequested && _running.Count < _options.SweepsAtOnce && _queue.Take() is string id)
            {
                Start(id, restart: false);
            }
        }
    }

    private RunningSweep Start(string id, bool restart)
    {
        RunningSweep sweep = _running.GetOrAdd(id, _ => new RunningSweep(id, restart, _stopping.Token));
        sweep.Begin(async () =>
        {
            await _runner.RunAsync(sweep);
            _running.TryRemove(id, out _);
            sweep.Dispose();
            StartWhatMay();
        });
        return sweep;
    }

    /// <summary>Follows a sweep until the engine that runs it ends it, or dies.</summary>
    private async Task<SweepStatus?> FollowAsync(string sweepId, CancellationToken cancellationToken)
    {
        SweepStatus? last = null;
        while (true)
        {
            bool runs = await _leases.OwnerAsync(sweepId, cancellationToken) is not null;
            SweepStatus? status = await Store.FindStatusAsync(sweepId, cancellationToken);
            if (status is not null && status != last)
            {
                Changed?.Invoke(last = status);
            }

            if (!runs)
            {
                return status;
            }

            await Task.Delay(FollowInterval, _time, cancellationToken);
        }
    }

    private async Task LookAgainAsync()
    {
        TimeSpan wait = _options.LookInterval;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(wait, _time, _stopping.Token);
                long started = _time.GetTimestamp();
                await TryLookAsync(_stopping.Token);
                wait = _options.LookInterval + (20 * _time.GetElapsedTime(started)); // a store of very many sweeps is not looked through all the time
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task<int> TryLookAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await LookAsync(cancellationToken);
        }
        catch (Exception e) when (e is not OutOfMemoryException && !cancellationToken.IsCancellationRequested)
        {
            Log.NotLooked(_logger, e);
            return 0;
        }
    }

    /// <summary>One look at the store: what nobody runs is queued, deletions that were cut short are finished, and what is damaged is said, once.</summary>
    private async Task<int> LookAsync(CancellationToken cancellationToken)
    {
        await Store.FinishDeletionsAsync(cancellationToken: cancellationToken);
        var (sweeps, leftovers) = await _list.ReadAsync(cancellationToken);
        foreach (string leftover in leftovers)
        {
            await Store.DeleteLeftoversAsync(leftover, cancellationToken);
        }

        foreach (SweepStatus damaged in sweeps.Where(status => status.Status == SweepState.Damaged))
        {
            SayDamaged(damaged);
        }

        int taken = 0;
        foreach (SweepStatus status in sweeps.Where(status => !status.HasEnded && !_running.ContainsKey(status.Id)).OrderBy(status => status.CreatedAt))
        {
            if (await _leases.OwnerAsync(status.Id, cancellationToken) is null && _queue.Add(status.Id, status.CreatedAt))
            {
                taken++;
            }
        }

        _leases.KeepOnly(sweeps.Select(status => status.Id).ToHashSet());
        StartWhatMay();
        return taken;
    }

    private void Say(SweepStatus status)
    {
        SayDamaged(status);
        Changed?.Invoke(status);
    }

    private void SayDamaged(SweepStatus status)
    {
        lock (_saidDamaged)
        {
            if (status.Status == SweepState.Damaged && _saidDamaged.Add(status.Id))
            {
                Log.SweepDamaged(_logger, status.Error!.Message);
            }
        }
    }
}
