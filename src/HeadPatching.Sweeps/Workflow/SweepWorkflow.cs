using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Plans;

namespace HeadPatching.Sweeps.Workflow;

/// <summary>
/// A sweep from request to report: plan; then in waves, each over the parts of the plan, cache what several bands of layers share, estimate where
/// there is a gradient, patch (of an adaptive sweep in rounds, each decided from those before); then in rounds, where sets of nodes are patched, decide and run the next; assemble. What assembling finds missing, because it was deleted or torn meanwhile, is run again. The same code
/// runs in both engines. In the durable one it is replayed, so it stays deterministic: no clock, no random numbers, no I/O, no
/// ConfigureAwait(false), no Task.Run; it awaits only what comes from the port.
/// </summary>
public static class SweepWorkflow
{
    /// <summary>Parts that one orchestration fans out to; a wave of more is run as several, each in an orchestration of its own.</summary>
    public const int MostPartsAtOnce = 200;

    /// <summary>How many such orchestrations of a sweep are at work at once.</summary>
    private const int OrchestrationsAtOnce = 2;

    /// <summary>How often it is asked what comes next: more than a search or an adaptive sweep has rounds, for what goes missing meanwhile.</summary>
    private const int MostRounds = 200;

    /// <summary>How often what is missing at the end is run again: a store that loses things faster than that is no store.</summary>
    private const int Rounds = 5;

    /// <summary>Runs the sweep to its end.</summary>
    /// <returns>A summary of the result.</returns>
    /// <exception cref="Core.Faults.InvalidInputException">The request cannot be swept (in-process engine; a durable one has its own failure).</exception>
    /// <exception cref="SweepCancelledException">The sweep was asked to stop.</exception>
    /// <exception cref="InvalidOperationException">The store loses what is written to it.</exception>
    public static async Task<SweepSummary> RunAsync(ISweepContext context)
    {
        context.Report(new SweepProgress(SweepPhase.Planning));
        PlanSize plan = await context.CallAsync<PlanSize>(ActivityNames.PlanSweep, new ActivityInput(context.SweepId));
        bool patches = plan.Method is Method.Exact or Method.Screen, estimates = plan.Method != Method.Exact;
        var progress = new SweepProgress(
            SweepPhase.Caching, LayersTotal: patches ? plan.Layers : 0, ChunksTotal: plan.Chunks, TasksTotal: patches ? plan.Runs : 0);
        var done = new WorkReport();
        int[] groups = [.. Enumerable.Range(0, plan.Groups)];

        // A chunk that one part runs over all layers is cached by that part.
        if (plan.Parts > plan.Groups)
        {
            await WaveAsync(SweepPhase.Caching, ActivityNames.CacheActivations, groups, one => progress with
            {
                ChunksCached = progress.ChunksCached + one.Chunks,
            });
        }

        await WaveAsync(SweepPhase.Caching, ActivityNames.SumActivations, [.. Enumerable.Range(0, plan.SumSlices)], _ => progress);

        if (estimates)
        {
            await WaveAsync(SweepPhase.Estimating, ActivityNames.EstimateEffects, groups, one => progress with
            {
                ChunksCached = plan.Parts > plan.Groups ? progress.ChunksCached : progress.ChunksCached + one.Chunks,
                ChunksEstimated = progress.ChunksEstimated + one.Chunks,
            });
        }

        if (plan.Method == Method.Screen)
        {
            int layers = await context.CallAsync<int>(ActivityNames.ScreenHeads, new ActivityInput(context.SweepId));
            progress = progress with { LayersTotal = layers };
        }

        if (patches)
        {
            bool caches = plan.Parts == plan.Groups && !estimates;
            await WaveAsync(SweepPhase.Patching, ActivityNames.PatchHeads, [.. Enumerable.Range(0, plan.Parts)], one => progress with
            {
                ChunksCached = caches ? progress.ChunksCached + one.Chunks : progress.ChunksCached,
                TasksDone = progress.TasksDone + one.Runs,
                TasksReused = progress.TasksReused + one.Reused,
                LayersDone = (int)((long)progress.LayersTotal * (progress.TasksDone + one.Runs) / progress.TasksTotal),
            });
        }

        if (plan.Method == Method.Adaptive)
        {
            await HeadsAsync();
        }

        if (plan.RunsSets)
        {
            await SetsAsync();
        }

        for (int round = 0; round < Rounds; round++)
        {
            context.Report(progress = progress with { Phase = SweepPhase.Assembling });
            var assembled = new ActivityInput(context.SweepId) { Done = done };
            var report = await context.CallAsync<AssembleReport>(ActivityNames.AssembleSweep, assembled);
            if (report.WantsPatterns)
            {
                report = await context.CallAsync<AssembleReport>(ActivityNames.ReadPatterns, assembled);
            }

            if (report.Summary is not null)
            {
                context.Report(progress with { Phase = SweepPhase.Done });
                return report.Summary;
            }

            await WaveAsync(SweepPhase.Assembling, ActivityNames.AttributeLogits, report.MissingAttributions, _ => progress);
            await WaveAsync(SweepPhase.Estimating, ActivityNames.EstimateEffects, report.MissingEstimates, _ => progress);
            await WaveAsync(SweepPhase.Patching, ActivityNames.PatchHeads, report.MissingRuns, _ => progress);
            if (report.WantsHeads)
            {
                await HeadsAsync();
            }

            if (report.WantsSets)
            {
                await SetsAsync();
            }
        }

        throw new InvalidOperationException("What the sweep writes to its store is gone whenever it is to be put together. See who deletes it, then start the sweep again.");

        // Each round is decided from what those before it gave; only the activity that decides knows which is the last.
        async Task HeadsAsync()
        {
            for (int calls = 0; calls < MostRounds; calls++)
            {
                context.Report(progress = progress with { Phase = SweepPhase.Patching });
                NextHeads next = await context.CallAsync<NextHeads>(ActivityNames.DecideHeads, new ActivityInput(context.SweepId));
                progress = progress with { Rounds = next.Round, HeadsDecided = next.HeadsDecided, HeadsTotal = next.Heads, RunsMade = next.Runs, RunsOfExact = next.RunsOfExact };
                if (next.IsEnd)
                {
                    return;
                }

                await WaveAsync(SweepPhase.Patching, ActivityNames.PatchDrawn, next.Parts, _ => progress, next.Round);
            }

            throw new InvalidOperationException("What heads gave is gone whenever the next are to be decided. See who deletes it, then start the sweep again.");
        }

        async Task SetsAsync()
        {
            for (int calls = 0; calls < MostRounds; calls++)
            {
                context.Report(progress = progress with { Phase = SweepPhase.PatchingSets });
                NextRound next = await context.CallAsync<NextRound>(ActivityNames.PlanRound, new ActivityInput(context.SweepId));
                progress = progress with { Rounds = next.Round };
                if (next.IsEnd)
                {
                    return;
                }

                await WaveAsync(SweepPhase.PatchingSets, ActivityNames.PatchSets, next.Parts, _ => progress, next.Round);
            }

            throw new InvalidOperationException("What sets of nodes gave is gone whenever the next are to be decided. See who deletes it, then start the sweep again.");
        }

        async Task WaveAsync(SweepPhase phase, string activity, IReadOnlyList<int> parts, Func<WorkReport, SweepProgress> follow, int round = 0)
        {
            if (parts.Count == 0)
            {
                return;
            }

            context.Report(progress = progress with { Phase = phase });
            if (parts.Count <= MostPartsAtOnce)
            {
                await RunPartsAsync(context, new PartsInput(context.SweepId, activity, parts, round), Follow);
                return;
            }

            foreach (int[][] together in parts.Chunk(MostPartsAtOnce).Chunk(OrchestrationsAtOnce))
            {
                await DrainAsync(context, together.Select(some => context.CallPartsAsync(new PartsInput(context.SweepId, activity, some, round))), Follow);
            }

            void Follow(WorkReport one)
            {
                done = done.Plus(one);
                progress = follow(one) with
                {
                    PatchedRuns = progress.PatchedRuns + one.PatchedRuns,
                    ForwardPasses = progress.ForwardPasses + one.ForwardPasses,
                };
                context.Report(progress);
            }
        }
    }

    /// <summary>Runs some parts of a wave at once, at most <see cref="MostPartsAtOnce"/>.</summary>
    /// <param name="context">The engine.</param>
    /// <param name="parts">The parts.</param>
    /// <param name="done">Told of each as it ends.</param>
    /// <returns>What all of them did.</returns>
    public static async Task<WorkReport> RunPartsAsync(ISweepContext context, PartsInput parts, Action<WorkReport> done)
    {
        var all = new WorkReport();
        await DrainAsync(
            context,
            parts.Parts.Select(part => context.CallAsync<WorkReport>(parts.Activity, new ActivityInput(parts.SweepId, part) { Round = parts.Round })),
            one =>
            {
                all = all.Plus(one);
                done(one);
            });
        return all;
    }

    /// <summary>Waits for every task, told of each as it ends; the first failure or a cancellation ends the wait.</summary>
    private static async Task DrainAsync<T>(ISweepContext context, IEnumerable<Task<T>> tasks, Action<T> done)
    {
        if (context.CancelRequested)
        {
            throw new SweepCancelledException();
        }

        var gate = new Lock(); // in-process, tasks end on any thread
        var failed = new TaskCompletionSource();
        Task all = Task.WhenAll(tasks.Select(FollowAsync).ToArray());
        await Task.WhenAny(all, failed.Task);
        await (failed.Task.IsFaulted ? failed.Task : all);

        async Task FollowAsync(Task<T> task)
        {
            try
            {
                T one = await task;
                if (context.CancelRequested)
                {
                    throw new SweepCancelledException();
                }

                lock (gate)
                {
                    done(one);
                }
            }
            catch (Exception e)
            {
                failed.TrySetException(e);
            }
        }
    }
}
