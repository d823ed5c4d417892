using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Plans;

namespace HeadPatching.Sweeps.Workflow;

/// <summary>
/// A sweep from request to report: plan, cache every chunk, patch every layer over every chunk, assemble; with a
/// gradient, estimate in between, and patch only what the estimate chose. The same code runs in both
/// engines. In the durable one it is replayed, so it stays deterministic: no clock, no random numbers, no I/O, no ConfigureAwait(false),
/// no Task.Run; it awaits only what comes from the port.
/// </summary>
public static class SweepWorkflow
{
    /// <summary>Runs the sweep to its end.</summary>
    /// <returns>A summary of the result.</returns>
    /// <exception cref="Core.Faults.InvalidInputException">The request cannot be swept (in-process engine; a durable one has its own failure).</exception>
    /// <exception cref="SweepCancelledException">The sweep was asked to stop.</exception>
    public static async Task<SweepSummary> RunAsync(ISweepContext context)
    {
        context.Report(new SweepProgress(SweepPhase.Planning));
        PlanSummary plan = await context.CallAsync<PlanSummary>(ActivityNames.PlanSweep, new ActivityInput(context.SweepId));
        var progress = new SweepProgress(
            SweepPhase.Caching, LayersTotal: plan.Layers, ChunksTotal: plan.Chunks, TasksTotal: plan.Layers * plan.Chunks);
        context.Report(progress);

        var caching = Enumerable.Range(0, plan.Chunks)
            .Select(chunk => context.CallAsync<CacheReport>(ActivityNames.CacheActivations, new ActivityInput(context.SweepId, chunk)))
            .ToList();
        await DrainAsync(context, caching, report => context.Report(progress = progress with
        {
            ChunksCached = progress.ChunksCached + 1,
            ForwardPasses = progress.ForwardPasses + report.ForwardPasses,
        }));

        IReadOnlyList<int> layers = [.. Enumerable.Range(0, plan.Layers)];
        if (plan.Method != Method.Exact)
        {
            context.Report(progress = progress with { Phase = SweepPhase.Estimating });
            var estimating = Enumerable.Range(0, plan.Chunks)
                .Select(chunk => context.CallAsync<EstimateReport>(ActivityNames.EstimateEffects, new ActivityInput(context.SweepId, chunk)))
                .ToList();
            await DrainAsync(context, estimating, _ => context.Report(progress = progress with { ChunksEstimated = progress.ChunksEstimated + 1 }));
            layers = plan.Method == Method.Screen
                ? (await context.CallAsync<ScreenReport>(ActivityNames.ScreenHeads, new ActivityInput(context.SweepId))).Layers
                : [];
            progress = progress with { LayersTotal = layers.Count, TasksTotal = layers.Count * plan.Chunks };
        }

        // Low layers first: they have the longest suffix to run, and what costs most should not be what is left at the end.
        if (layers.Count > 0)
        {
            context.Report(progress = progress with { Phase = SweepPhase.Patching });
        }

        int[] chunksLeft = [.. Enumerable.Repeat(plan.Chunks, plan.Layers)]; // by layer
        var patching = new List<Task<LayerReport>>();
        foreach (int layer in layers)
        {
            for (int chunk = 0; chunk < plan.Chunks; chunk++)
            {
                patching.Add(context.CallAsync<LayerReport>(ActivityNames.PatchLayer, new ActivityInput(context.SweepId, chunk, layer)));
            }
        }

        await DrainAsync(context, patching, report =>
        {
            progress = progress with
            {
                LayersDone = progress.LayersDone + (--chunksLeft[report.Layer] == 0 ? 1 : 0),
                TasksDone = progress.TasksDone + 1,
                TasksReused = progress.TasksReused + (report.Reused ? 1 : 0),
                PatchedRuns = progress.PatchedRuns + report.PatchedRuns,
            };
            context.Report(progress);
        });

        context.Report(progress = progress with { Phase = SweepPhase.Assembling });
        SweepSummary summary = await context.CallAsync<SweepSummary>(ActivityNames.AssembleSweep, new ActivityInput(context.SweepId));
        context.Report(progress with { Phase = SweepPhase.Done });
        return summary;
    }

    /// <summary>Waits for every task as they come in; the first failure or a cancellation ends the wait.</summary>
    private static async Task DrainAsync<T>(ISweepContext context, IReadOnlyList<Task<T>> tasks, Action<T> done)
    {
        foreach (Task<Task<T>> next in AsTheyEnd(tasks))
        {
            if (context.CancelRequested)
            {
                throw new SweepCancelledException();
            }

            done(await await next);
        }
    }

    /// <summary>
    /// The tasks in the order in which they end. Each takes the next free place when it ends, so all together cost one step a task; a loop over
    /// Task.WhenAny would look at all that are left again for each. It awaits nothing but the tasks, so a durable engine can replay it.
    /// </summary>
    private static IEnumerable<Task<Task<T>>> AsTheyEnd<T>(IReadOnlyList<Task<T>> tasks)
    {
        TaskCompletionSource<Task<T>>[] places = [.. tasks.Select(_ => new TaskCompletionSource<Task<T>>())];
        int taken = 0;
        foreach (Task<T> task in tasks)
        {
            _ = TakePlaceAsync(task);
        }

        return places.Select(place => place.Task);

        async Task TakePlaceAsync(Task<T> task)
        {
            try
            {
                await task;
            }
            catch (Exception)
            {
                // Whoever awaits the place meets it.
            }

            places[Interlocked.Increment(ref taken) - 1].SetResult(task);
        }
    }
}
