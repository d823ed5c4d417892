using System.Diagnostics;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;

namespace HeadPatching.Sweeps.Engine;

/// <summary>
/// Runs activities in this process: each when its sweep has a place (<see cref="FairSlots"/>), with a span and a line of the log, and again
/// where its infrastructure failed. An activity that waits for its next attempt keeps no place.
/// </summary>
internal sealed class ActivityRunner : IDisposable
{
    private static readonly ResiliencePropertyKey<(string Name, ActivityInput Input)> Retried = new("activity");

    private readonly LoadedModels _models;
    private readonly ActivityTable _activities;
    private readonly FairSlots _slots;
    private readonly ResiliencePipeline _retry;
    private readonly ILogger _logger;

    public ActivityRunner(
        IArtifactStore store, IModelCatalog catalog, IReadOnlyList<ResultFile> reports, EngineOptions options, TimeProvider time, ILogger logger)
    {
        _models = new LoadedModels(catalog, threads: Math.Max(1, Environment.ProcessorCount / options.Parallelism));
        _activities = new ActivityTable(store, catalog, _models, reports, time);
        _slots = new FairSlots(options.Parallelism, time);
        _retry = Retries(options.Retry, time);
        _logger = logger;
    }

    /// <summary>Raised after each step of an activity; by several threads at once.</summary>
    public event Action<WorkStep>? WorkDone;

    /// <summary>The attention patterns of sweeps' heads.</summary>
    public SweepPatterns Patterns => _activities.Patterns;

    /// <summary>Runs an activity of a sweep.</summary>
    public async Task<TOutput> CallAsync<TOutput>(string name, ActivityInput input, ActivityContext trace, CancellationToken cancellationToken)
    {
        ResilienceContext context = ResilienceContextPool.Shared.Get(cancellationToken);
        context.Properties.Set(Retried, (name, input));
        try
        {
            return (TOutput)await _retry.ExecuteAsync(async resilience => await AttemptAsync(name, input, trace, resilience.CancellationToken), context);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    /// <summary>Does something with the store that is no activity, again where the store failed.</summary>
    public async Task<T> RetryAsync<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken) =>
        await _retry.ExecuteAsync(async stop => await work(stop), cancellationToken);

    public void Dispose() => _models.Dispose();

    private async Task<object> AttemptAsync(string name, ActivityInput input, ActivityContext trace, CancellationToken cancellationToken)
    {
        using IDisposable slot = await _slots.TakeAsync(input.SweepId, cancellationToken);
        using Activity? span = SweepTelemetry.StartActivity(name, input.SweepId, input.Part, trace);
        long started = Stopwatch.GetTimestamp();
        object output = await Task.Run(() => _activities.RunAsync(name, input, step => WorkDone?.Invoke(step), cancellationToken), cancellationToken);
        Log.ActivityDone(_logger, name, input.SweepId, input.Part, Stopwatch.GetElapsedTime(started).TotalSeconds);
        return output;
    }

    private ResiliencePipeline Retries(RetryRules rules, TimeProvider time) => rules.MaxAttempts <= 1
        ? ResiliencePipeline.Empty
        : new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = arguments => ValueTask.FromResult(arguments.Outcome.Exception is Exception e && RetryRules.IsWorthRetrying(e)),
                MaxRetryAttempts = rules.MaxAttempts - 1,
                BackoffType = DelayBackoffType.Exponential,
                Delay = rules.FirstDelay,
                MaxDelay = rules.MaxDelay,
                OnRetry = arguments =>
                {
                    if (arguments.Context.Properties.TryGetValue(Retried, out (string Name, ActivityInput Input) activity))
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
