using System.Collections.Concurrent;
using System.Diagnostics;
using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Sweeps.Tests.Workflow;

/// <summary>The workflow against a port that records what it asks for.</summary>
public class SweepWorkflowTests
{
    [Fact]
    public async Task Chunks_are_cached_before_layers_are_patched_low_layers_first()
    {
        var context = new Recorder(layers: 3, chunks: 2);
        SweepSummary summary = await SweepWorkflow.RunAsync(context);

        Assert.Equal("sweep", summary.SweepId);
        Assert.Equal(
            [
                "PlanSweep", "CacheActivations c0", "CacheActivations c1",
                "PatchLayer l0 c0", "PatchLayer l0 c1", "PatchLayer l1 c0", "PatchLayer l1 c1", "PatchLayer l2 c0", "PatchLayer l2 c1", "AssembleSweep",
            ],
            context.Calls);
        Assert.Equal(new SweepProgress(SweepPhase.Done, 3, 3, 2, 2, 6, 6, TasksReused: 0, PatchedRuns: 60, ForwardPasses: 4), context.Reports[^1]);
        Assert.Equal([0, 0, 1, 1, 2, 2, 3], context.Reports.Where(report => report.Phase == SweepPhase.Patching).Select(report => report.LayersDone));
    }

    [Fact]
    public async Task With_a_gradient_alone_nothing_is_patched()
    {
        var context = new Recorder(layers: 3, chunks: 2, Method.Attribution);
        await SweepWorkflow.RunAsync(context);
        Assert.Equal(
            ["PlanSweep", "CacheActivations c0", "CacheActivations c1", "EstimateEffects c0", "EstimateEffects c1", "AssembleSweep"], context.Calls);
        Assert.DoesNotContain(context.Reports, report => report.Phase == SweepPhase.Patching);
        Assert.Equal(2, context.Reports[^1].ChunksEstimated);
    }

    [Fact]
    public async Task Screening_patches_the_layers_that_the_estimate_chose()
    {
        var context = new Recorder(layers: 9, chunks: 2, Method.Screen);
        await SweepWorkflow.RunAsync(context);
        Assert.Equal(
            [
                "EstimateEffects c0", "EstimateEffects c1", "ScreenHeads",
                "PatchLayer l2 c0", "PatchLayer l2 c1", "PatchLayer l7 c0", "PatchLayer l7 c1", "AssembleSweep",
            ],
            context.Calls.Skip(3));
        SweepProgress end = context.Reports[^1];
        Assert.Equal((2, 2, 4, 4), (end.LayersDone, end.LayersTotal, end.TasksDone, end.TasksTotal));
    }

    [Fact]
    public async Task Run_again_from_its_history_it_asks_for_the_same_in_the_same_order()
    {
        var first = new Recorder(layers: 4, chunks: 3);
        await SweepWorkflow.RunAsync(first);
        var second = new Recorder(layers: 4, chunks: 3);
        await SweepWorkflow.RunAsync(second);
        Assert.Equal(first.Calls, second.Calls);
        Assert.Equal(first.Reports, second.Reports);
    }

    [Fact]
    public async Task A_cancelled_sweep_starts_nothing_more()
    {
        var context = new Recorder(layers: 3, chunks: 2);
        context.OnCall = call => context.CancelRequested |= call == "CacheActivations c0";
        await Assert.ThrowsAsync<SweepCancelledException>(() => SweepWorkflow.RunAsync(context));
        Assert.DoesNotContain(context.Calls, call => call.StartsWith("PatchLayer", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_failed_activity_fails_the_sweep()
    {
        var context = new Recorder(layers: 3, chunks: 2) { OnCall = call => { if (call == "PatchLayer l1 c1") { throw new IOException("lost"); } } };
        await Assert.ThrowsAsync<IOException>(() => SweepWorkflow.RunAsync(context));
        Assert.DoesNotContain("AssembleSweep", context.Calls);
    }

    [Fact]
    public async Task Waiting_for_very_many_activities_takes_one_step_each()
    {
        const int Chunks = 40_000;
        var context = new Recorder(layers: 1, chunks: Chunks, Method.Attribution) { Pending = new() };
        var stopwatch = Stopwatch.StartNew();
        Task<SweepSummary> run = Task.Run(() => SweepWorkflow.RunAsync(context), TestContext.Current.CancellationToken);
        while (!run.IsCompleted)
        {
            // The last one first, a batch at a time: what is left to wait for stays long.
            while (context.Pending!.TryPop(out Action? end))
            {
                end();
            }

            Assert.InRange(stopwatch.Elapsed.TotalSeconds, 0, 60);
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        await run;
        Assert.Equal((Chunks, Chunks), (context.Reports[^1].ChunksCached, context.Reports[^1].ChunksEstimated));
        TestContext.Current.TestOutputHelper?.WriteLine($"{2 * Chunks} activities in {stopwatch.Elapsed.TotalSeconds:F2} s.");
    }

    private sealed class Recorder(int layers, int chunks, Method method = Method.Exact) : ISweepContext
    {
        public string SweepId => "sweep";

        public bool CancelRequested { get; set; }

        public List<string> Calls { get; } = [];

        public List<SweepProgress> Reports { get; } = [];

        public Action<string> OnCall { get; set; } = _ => { };

        /// <summary>Where it is given, the activities of chunks end only when it is told so, by these.</summary>
        public ConcurrentStack<Action>? Pending { get; init; }

        public async Task<TOutput> CallAsync<TOutput>(string activity, ActivityInput input)
        {
            string call = activity switch
            {
                ActivityNames.CacheActivations or ActivityNames.EstimateEffects => $"{activity} c{input.Chunk}",
                ActivityNames.PatchLayer => $"{activity} l{input.Layer} c{input.Chunk}",
                _ => activity,
            };
            Calls.Add(call);
            if (Pending is not null && activity is (ActivityNames.CacheActivations or ActivityNames.EstimateEffects))
            {
                var ended = new TaskCompletionSource();
                Pending.Push(ended.SetResult);
                await ended.Task;
            }

            OnCall(call);
            object output = activity switch
            {
                ActivityNames.PlanSweep => new PlanSummary(layers, chunks, method),
                ActivityNames.CacheActivations => new CacheReport(input.Chunk, 2),
                ActivityNames.EstimateEffects => new EstimateReport(input.Chunk, Reused: false),
                ActivityNames.ScreenHeads => new ScreenReport([2, 7]),
                ActivityNames.PatchLayer => new LayerReport(input.Layer, input.Chunk, Reused: false, PatchedRuns: 10),
                _ => new SweepSummary(input.SweepId, 1, 1, []),
            };
            return (TOutput)output;
        }

        public void Report(SweepProgress progress) => Reports.Add(progress);
    }
}
