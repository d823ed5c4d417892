using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>
/// The activities that compute: each goes over one part of a sweep, chunk by chunk. What is there under its key is left; whatever else is
/// missing on the way, activations too, is made.
/// </summary>
internal sealed class SweepWork(IArtifactStore store, StoredPlans plans, LoadedModels models, TensorCache? cache)
{
    private readonly WorkTurns _turns = new();

    /// <summary>Makes the activations of a part's chunks, so that several bands of layers need not.</summary>
    public async Task<WorkReport> CacheAsync(ActivityInput input, Action<WorkStep>? progress, CancellationToken cancellationToken)
    {
        var (plan, part) = await PlannedAsync(input, cancellationToken);
        return await WithModelAsync(input.SweepId, plan, part.Chunks.Count, async runner =>
        {
            foreach (PlannedChunk chunk in part.Chunks)
            {
                using WorkTurns.Turn turn = await _turns.TakeAsync(SweepArtifacts.Activations(chunk.Activations), cancellationToken);
                await runner.CacheAsync(chunk, progress, cancellationToken);
            }

            return new WorkReport();
        }, cancellationToken);
    }

    /// <summary>Takes the sums that means are made of, over a slice of the pairs.</summary>
    public async Task<WorkReport> SumAsync(ActivityInput input, CancellationToken cancellationToken)
    {
        SweepPlan plan = await plans.HeaderAsync(input.SweepId, cancellationToken);
        return await WithModelAsync(input.SweepId, plan, chunks: 0, async runner =>
        {
            await runner.SumAsync((ChunkWork.Heads)plan.ExactWork(), input.Part, cancellationToken);
            return new WorkReport();
        }, cancellationToken);
    }

    /// <summary>Estimates every patch over a part's chunks from one gradient each; where there are no estimates it takes the unpatched metrics.</summary>
    public async Task<WorkReport> EstimateAsync(ActivityInput input, Action<WorkStep>? progress, CancellationToken cancellationToken)
    {
        var (plan, part) = await PlannedAsync(input, cancellationToken);
        return (await RunAsync(input.SweepId, plan, part, plan.WorkBefore()!, progress, cancellationToken)) with { Runs = 0, Reused = 0 };
    }

    /// <summary>Attributes the metric of a part's clean runs to the parts of the model.</summary>
    public async Task<WorkReport> AttributeAsync(ActivityInput input, CancellationToken cancellationToken)
    {
        var (plan, part) = await PlannedAsync(input, cancellationToken);
        return await WithModelAsync(input.SweepId, plan, chunks: 0, async runner =>
        {
            foreach (PlannedChunk chunk in part.Chunks)
            {
                await runner.AttributeAsync(chunk, cancellationToken);
            }

            return new WorkReport();
        }, cancellationToken);
    }

    /// <summary>Runs the patches of a part.</summary>
    public async Task<WorkReport> PatchAsync(ActivityInput input, Action<WorkStep>? progress, CancellationToken cancellationToken)
    {
        var (plan, part) = await PlannedAsync(input, cancellationToken);
        return await RunAsync(input.SweepId, plan, part, await ExactWorkAsync(plan, input.SweepId, cancellationToken), progress, cancellationToken);
    }

    /// <summary>The runs of a sweep in the store.</summary>
    public async Task<StoredRuns> StoredRunsAsync(string sweepId, SweepPlan plan, Traffic traffic, bool attributed, CancellationToken cancellationToken) => new(
        store,
        plans,
        sweepId,
        plan,
        plan.WorkBefore(),
        plan.Request.Method is Method.Attribution or Method.Adaptive ? null : await ExactWorkAsync(plan, sweepId, cancellationToken),
        traffic,
        attributed);

    /// <summary>The patched runs of a sweep: of the heads that the estimate chooses, where there is one.</summary>
    public async Task<ChunkWork> ExactWorkAsync(SweepPlan plan, string sweepId, CancellationToken cancellationToken)
    {
        ChunkWork work = plan.ExactWork();
        return plan.Request.Method == Method.Screen && work is ChunkWork.Heads heads
            ? heads with { Only = (await ScreenAsync(sweepId, plan, cancellationToken)).ByLayer }
            : work;
    }

    /// <summary>Makes something of all runs of a sweep, or of all its estimates; what is missing of them is made first, and again where it goes missing meanwhile.</summary>
    /// <param name="sweepId">The sweep.</param>
    /// <param name="stored">The runs as they are in the store.</param>
    /// <param name="make">Makes it.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async Task<T> OfAllAsync<T>(string sweepId, Func<Task<StoredRuns>> stored, Func<StoredRuns, RunsOverview, Task<T>> make, CancellationToken cancellationToken)
    {
        while (true)
        {
            StoredRuns runs = await stored();
            RunsOverview overview = await runs.LookAsync(cancellationToken);
            foreach (int part in overview.MissingEstimates)
            {
                await EstimateAsync(new ActivityInput(sweepId, part), progress: null, cancellationToken);
            }

            foreach (int part in overview.MissingRuns)
            {
                await PatchAsync(new ActivityInput(sweepId, part), progress: null, cancellationToken);
            }

            try
            {
                if (overview.IsWhole)
                {
                    return await make(runs, overview);
                }
            }
            catch (MissingRunsException)
            {
                // They are made in the next turn.
            }
        }
    }

    /// <summary>What comes before the patched runs of a sweep, in the store.</summary>
    public StoredRuns StoredBefore(string sweepId, SweepPlan plan) => new(store, plans, sweepId, plan, plan.WorkBefore(), exact: null, new Traffic());

    /// <summary>Chooses the heads with the largest estimates over all chunks, unless they are chosen.</summary>
    public async Task<ScreenedHeads> ScreenAsync(string sweepId, SweepPlan plan, CancellationToken cancellationToken)
    {
        string name = SweepArtifacts.Screen(sweepId);
        while (true)
        {
            if (await store.ReadJsonAsync<ScreenedHeads>(name, cancellationToken) is ScreenedHeads chosen)
            {
                return chosen;
            }

            await store.WriteJsonIfAbsentAsync(name, await OfAllAsync(sweepId, () => Task.FromResult(StoredBefore(sweepId, plan)), ChooseAsync, cancellationToken), cancellationToken);
        }

        async Task<ScreenedHeads> ChooseAsync(StoredRuns runs, RunsOverview overview)
        {
            var screen = new Screen(overview.Pairs, plan.PatchOptions(), plan.Request.Aggregation);
            await foreach (PairRuns pair in runs.PairByPairAsync(cancellationToken))
            {
                screen.Add(pair);
            }

            var heads = screen.Top(plan.Request.HeadsRunAfterScreen()!.Value);
            return new ScreenedHeads(heads.GroupBy(one => one.Layer).ToDictionary(layer => layer.Key, layer => layer.Select(one => one.Head).Order().ToArray()));
        }
    }

    private async Task<WorkReport> RunAsync(
        string sweepId, SweepPlan plan, PlannedPart planned, ChunkWork work, Action<WorkStep>? progress, CancellationToken cancellationToken)
    {
        PlannedPart part = planned.For(work, plan);
        bool caches = plan.Size.Parts == plan.Size.Groups && (plan.Request.Method == Method.Exact || work.OfAllLayers); // nobody did before
        var missing = new List<(PlannedChunk Chunk, string Key, double Flops)>();
        foreach (var (index, chunk) in part.Chunks.Index())
        {
            string key = part.KeyOf(chunk, work);
            double flops = work.OfAllLayers ? chunk.EstimatingFlops : part.FlopsOf(index);
            if (!await IsThereAsync(chunk, key, flops))
            {
                missing.Add((chunk, key, flops));
            }
        }

        int found = part.Chunks.Count - missing.Count;
        WorkReport made = missing.Count == 0
            ? new WorkReport()
            : await WithModelAsync(sweepId, plan, part.Chunks.Count, async runner =>
            {
                // What another sweep is making is left for the end: two of the same weights share the work, and neither makes a run twice.
                var later = new List<(PlannedChunk Chunk, string Key, double Flops)>();
                long runs = 0;
                foreach (var one in missing)
                {
                    if (_turns.TryTake(SweepArtifacts.Runs(one.Key)) is not WorkTurns.Turn turn)
                    {
                        later.Add(one);
                        continue;
                    }

                    using (turn)
                    {
                        runs += await MakeAsync(runner, turn, one.Chunk, one.Key, one.Flops);
                    }
                }

                foreach (var (chunk, key, flops) in later)
                {
                    using WorkTurns.Turn turn = await _turns.TakeAsync(SweepArtifacts.Runs(key), cancellationToken);
                    runs += await MakeAsync(runner, turn, chunk, key, flops);
                }

                return new WorkReport(PatchedRuns: runs);
            }, cancellationToken);
        return made with { Activities = 1, Chunks = part.Chunks.Count, Runs = part.Chunks.Count, Reused = found };

        async Task<bool> IsThereAsync(PlannedChunk chunk, string key, double flops)
        {
            bool isThere = await store.ExistsAsync(SweepArtifacts.Runs(key), cancellationToken);
            if (isThere)
            {
                progress?.Invoke(new WorkStep(flops + (caches ? chunk.CachingFlops : 0), Found: true));
            }

            return isThere;
        }

        async Task<long> MakeAsync(ChunkRunner runner, WorkTurns.Turn turn, PlannedChunk chunk, string key, double flops)
        {
            if (turn.MayBeMade && await IsThereAsync(chunk, key, flops))
            {
                found++;
                return 0;
            }

            return (await runner.RunAsync(part, chunk, work, key, new ChunkSteps(flops, caches, progress), cancellationToken)).Layers.Sum(layer => layer.PatchedRuns);
        }
    }

    private async Task<(SweepPlan Plan, PlannedPart Part)> PlannedAsync(ActivityInput input, CancellationToken cancellationToken) => (
        await plans.HeaderAsync(input.SweepId, cancellationToken),
        await plans.PartAsync(input.SweepId, input.Part, cancellationToken));

    /// <summary>Does something with the sweep's model, and says what it read and wrote.</summary>
    public async Task<WorkReport> WithModelAsync(
        string sweepId, SweepPlan plan, int chunks, Func<ChunkRunner, Task<WorkReport>> work, CancellationToken cancellationToken)
    {
        using var lease = await models.LendAsync(plan.Source, cancellationToken);
        using GpuTurn turn = await GpuTurn.TakeAsync(plan.Source, cancellationToken);
        var traffic = new Traffic();
        using var runner = new ChunkRunner(store, plans, plan, sweepId, lease, cache, traffic);
        WorkReport report = await work(runner);
        return report with
        {
            Activities = 1,
            Chunks = chunks,
            ForwardPasses = runner.ForwardPasses,
            BytesRead = traffic.BytesRead,
            BytesWritten = traffic.BytesWritten,
        };
    }
}
