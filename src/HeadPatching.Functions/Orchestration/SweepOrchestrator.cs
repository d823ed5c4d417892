using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Workflow;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;

namespace HeadPatching.Functions.Orchestration;

/// <summary>The durable orchestration of a sweep; its instance id is the sweep's id.</summary>
public static class SweepOrchestrator
{
    /// <summary>The orchestrator's name.</summary>
    public const string Name = "Sweep";

    /// <summary>Runs the workflow. The input says whether somebody is then to be told of its end.</summary>
    [Function(Name)]
    public static async Task<SweepSummary> RunAsync([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        SweepState end = SweepState.Failed;
        try
        {
            SweepSummary summary = await SweepWorkflow.RunAsync(new DurableSweepContext(context));
            end = SweepState.Completed;
            return summary;
        }
        finally
        {
            if (context.GetInput<bool>())
            {
                BeginCallback(context, end);
            }
        }
    }

    /// <summary>The name of the orchestrator of a callback.</summary>
    public const string CallbackName = "SweepCallback";

    /// <summary>The name of the activity that sends it.</summary>
    public const string SendCallbackName = "SendCallback";

    // For some hours, while hosts come and go. What did not arrive by then is tried further by the timer (TidyTrigger).
    private static readonly TaskOptions CallbackRetries = TaskOptions.FromRetryPolicy(new RetryPolicy(6, TimeSpan.FromSeconds(5), 4, TimeSpan.FromHours(1)));

    /// <summary>Sends the callback of a sweep that has ended.</summary>
    [Function(CallbackName)]
    public static Task RunCallbackAsync([OrchestrationTrigger] TaskOrchestrationContext context) =>
        context.CallActivityAsync(SendCallbackName, context.GetInput<ActivityInput>(), CallbackRetries);

    /// <summary>
    /// Begins an orchestration and does not wait for it: it goes on when this one has ended, as the receiver is told that it has, and however long the
    /// receiver does not answer.
    /// </summary>
    private static void BeginCallback(TaskOrchestrationContext context, SweepState state) => _ = context.CallSubOrchestratorAsync(
        CallbackName, new ActivityInput(context.InstanceId) { Ended = state }, new SubOrchestrationOptions(instanceId: $"{PartsPrefix(context.InstanceId)}callback"));

    /// <summary>The name of the orchestrator of some parts of a wave.</summary>
    public const string PartsName = "SweepParts";

    /// <summary>
    /// How the ids of a sweep's orchestrations of parts begin, and no others: who ends or deletes the sweep finds them by it. No backend
    /// but the Durable Task Scheduler ends or purges an orchestration's children with it.
    /// </summary>
    public static string PartsPrefix(string sweepId) => $"{sweepId}-";

    /// <summary>Runs some parts of a wave, in an orchestration of their own.</summary>
    [Function(PartsName)]
    public static Task<WorkReport> RunPartsAsync([OrchestrationTrigger] TaskOrchestrationContext context) =>
        SweepWorkflow.RunPartsAsync(new DurableSweepContext(context), context.GetInput<PartsInput>()!, _ => { });
}
