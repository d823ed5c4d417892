using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Workflow;
using Microsoft.DurableTask;

namespace HeadPatching.Functions.Orchestration;

/// <summary>The workflow's port over the durable engine.</summary>
public sealed class DurableSweepContext : ISweepContext
{
    private static readonly RetryRules Rules = new();

    // By the kind of failure: a store that did not answer, or an activity that its host stopped, is worth another attempt; these are not.
    private static readonly TaskOptions Retried = TaskOptions.FromRetryPolicy(
        new RetryPolicy(Rules.MaxAttempts, Rules.FirstDelay, Rules.Backoff, Rules.MaxDelay)
        {
            HandleFailure = failure =>
                !failure.IsCausedBy<InvalidInputException>() && !failure.IsCausedBy<SweepCancelledException>() && !failure.IsCausedBy<PermanentFailureException>(),
        });

    private readonly TaskOrchestrationContext _context;
    private readonly ActivityWindow _window;

    /// <summary>Makes the port of an orchestration.</summary>
    public DurableSweepContext(TaskOrchestrationContext context)
    {
        _context = context;
        _window = new ActivityWindow(context);
    }

    /// <inheritdoc/>
    public string SweepId => _context.InstanceId;

    /// <inheritdoc/>
    /// <remarks>A cancelled sweep's orchestration is terminated, so it never gets to ask.</remarks>
    public bool CancelRequested => false;

    /// <inheritdoc/>
    public async Task<TOutput> CallAsync<TOutput>(string activity, ActivityInput input) =>
        (await _window.RunAsync(() => _context.CallActivityAsync<Served<TOutput>>(activity, input, Retried))).Output!;

    /// <inheritdoc/>
    public Task<WorkReport> CallPartsAsync(PartsInput parts) => _context.CallSubOrchestratorAsync<WorkReport>(
        SweepOrchestrator.PartsName, parts, new SubOrchestrationOptions(instanceId: SweepOrchestrator.PartsPrefix(SweepId) + _context.NewGuid().ToString("n")));

    /// <inheritdoc/>
    public void Report(SweepProgress progress) => _context.SetCustomStatus(progress);
}
