using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Workflow;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;

namespace HeadPatching.Functions.Orchestration;

/// <summary>The durable orchestration of a sweep; its instance id is the sweep's id.</summary>
public static class SweepOrchestrator
{
    /// <summary>The orchestrator's name.</summary>
    public const string Name = "Sweep";

    /// <summary>Runs the workflow.</summary>
    [Function(Name)]
    public static Task<SweepSummary> RunAsync([OrchestrationTrigger] TaskOrchestrationContext context) =>
        SweepWorkflow.RunAsync(new DurableSweepContext(context));

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
