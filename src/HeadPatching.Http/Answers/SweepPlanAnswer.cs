using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Plans;

namespace HeadPatching.Http.Answers;

/// <summary>How a sweep would be cut. Nothing was run for it, and nothing looked for what is stored already.</summary>
/// <param name="Model">The model.</param>
/// <param name="Pairs">How many pairs would be swept.</param>
/// <param name="Chunks">Chunks of pairs that run as one batch.</param>
/// <param name="Activities">Activities, those that plan and assemble included.</param>
/// <param name="StoredRuns">Runs that are stored, one for each band of layers over each chunk.</param>
/// <param name="PatchedRuns">Patched runs; of a screen about as many.</param>
/// <param name="Flops">Floating-point operations, counted.</param>
/// <param name="BytesToCache">Bytes of activations that are written where none are there yet.</param>
/// <param name="BytesToRead">Bytes of activations that are read by activities that did not make them.</param>
/// <param name="Seconds">The time on one worker, estimated from a rate for the kind of device.</param>
/// <param name="MemoryBytes">The most memory that an activity takes on a CPU beside the weights.</param>
/// <param name="Memory">What that is made of, with the weights and where they are.</param>
public sealed record SweepPlanAnswer(
    ModelSummary Model,
    int Pairs,
    int Chunks,
    int Activities,
    int StoredRuns,
    long PatchedRuns,
    double Flops,
    long BytesToCache,
    long BytesToRead,
    double Seconds,
    long MemoryBytes,
    PlannedMemory? Memory)
{
    /// <summary>A plan as an answer has it.</summary>
    public static SweepPlanAnswer Of(SweepPlan plan) => new(
        plan.Model,
        plan.PairCount,
        plan.Size.Chunks,
        plan.Activities,
        plan.Size.Runs,
        plan.Size.PatchedRuns,
        plan.Size.Flops,
        plan.Size.BytesToCache,
        plan.Size.BytesToRead,
        plan.Size.Seconds,
        plan.Size.MemoryBytes,
        plan.Size.Memory);
}
