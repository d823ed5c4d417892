using HeadPatching.Http.Answers;
using HeadPatching.Sweeps.Plans;

namespace HeadPatching.Cli.Terminal;

/// <summary>Shows how a sweep is cut, for <c>--plan</c>.</summary>
internal static class PlanDisplay
{
    /// <summary>Writes the cut, in lines or as JSON.</summary>
    public static async Task WriteAsync(SweepPlan plan, bool json, CancellationToken cancellationToken)
    {
        if (json)
        {
            await JsonOutput.WriteAsync(SweepPlanAnswer.Of(plan), cancellationToken);
            return;
        }

        PlanSize size = plan.Size;
        Console.WriteLine(FormattableString.Invariant(
            $"{plan.Model.Name}: {plan.Model.Layers} layers x {plan.Model.Heads} heads, {plan.Model.Dtype} on {plan.Model.Device}. {plan.Dataset}: {plan.PairCount} pairs in {size.Chunks} chunks."));
        Console.WriteLine(FormattableString.Invariant($"Activities:      {plan.Activities}{(size.RunsSets ? ", and those of the rounds in which sets of nodes are patched, each decided from the one before" : "")}"));
        Console.WriteLine(FormattableString.Invariant($"Stored runs:     {size.Runs}"));
        Console.WriteLine(FormattableString.Invariant($"Patched runs:    {size.PatchedRuns}"));
        Console.WriteLine(FormattableString.Invariant($"Operations:      {size.Flops / 1e9:F1} GFLOP, counted"));
        Console.WriteLine(FormattableString.Invariant($"To cache:        {size.BytesToCache / 1048576.0:F1} MiB of activations"));
        Console.WriteLine(FormattableString.Invariant($"To read:         {size.BytesToRead / 1048576.0:F1} MiB of them"));
        Console.WriteLine(FormattableString.Invariant($"Estimated time:  {size.Seconds:F1} s of one worker (at {size.Flops / Math.Max(size.Seconds, 1e-9) / 1e9:F0} GFLOP/s; {DeviceRates.Variable} says another rate)"));
        Console.WriteLine(FormattableString.Invariant($"Memory:          {size.MemoryBytes / 1048576} MiB a worker beside the weights"));
        if (size.Memory is PlannedMemory memory)
        {
            Console.WriteLine(memory.Streamed
                ? FormattableString.Invariant($"Weights:         streamed, two of {size.Layers} layers at a time, read {memory.Passes} time{(memory.Passes == 1 ? "" : "s")} a chunk{(memory.SetsOfPass is long sets ? $", and in rounds once for each {sets:N0} sets or edges on a chunk" : "")}")
                : "Weights:         in memory");
            Console.WriteLine(FormattableString.Invariant($"In all:          {memory}{(memory.Available is long bytes ? $"; there are {bytes >> 20} MiB" : "")}"));
        }

        Console.WriteLine("Nothing was run, and nothing looked for what is stored already.");
    }
}
