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
    public async Task One_band_is_one_wave_that_caches_for_itself()
    {
        var context = new Recorder(groups: 2, bands: 1);

        SweepSummary summary = await SweepWorkflow.RunAsync(context);

        Assert.Equal("sweep", summary.SweepId);
        Assert.Equal(["PlanSweep", "PatchHeads 0", "PatchHeads 1", "AssembleSweep"], context.Calls);
        Assert.Equal(new SweepProgress(SweepPhase.Done, 3, 3, 4, 4, 4, 4, TasksReused: 0, PatchedRuns: 20, ForwardPasses: 4), context.Reports[^1]);
        Assert.Equal([0, 1, 3], context.Reports.Where(report => report.Phase == SweepPhase.Patching).Select(report => report.LayersDone));
    }

    [Fact]
    public async Task Several_bands_share_activations_that_are_cached_first()
    {
        var context = new Recorder(groups: 2, bands: 3);

        await SweepWorkflow.RunAsync(context);

        Assert.Equal(
            ["PlanSweep", "CacheActivations 0", "CacheActivations 1", .. Enumerable.Range(0, 6).Select(part => $"PatchHeads {part}"), "AssembleSweep"], context.Calls);
    }

    [Fact]
    public async Task With_a_gradient_alone_nothing_is_patched()
    {
        var context = new Recorder(groups: 2, bands: 1, Method.Attribution);

        await SweepWorkflow.RunAsync(context);

        Assert.Equal(["PlanSweep", "EstimateEffects 0", "EstimateEffects 1", "AssembleSweep"], context.Calls);
        Assert.DoesNotContain(context.Reports, report => report.Phase == SweepPhase.Patching);
        Assert.Equal(4, context.Reports[^1].ChunksEstimated);
    }

    [Fact]
    public async Task Screening_estimates_and_chooses_before_it_patches()
    {
        var context = new Recorder(groups: 2, bands: 1, Method.Screen);

        await SweepWorkflow.RunAsync(context);

        Assert.Equal(
            ["PlanSweep", "EstimateEffects 0", "EstimateEffects 1", "ScreenHeads", "PatchHeads 0", "PatchHeads 1", "AssembleSweep"], context.Calls);
        Assert.Equal(2, context.Reports[^1].LayersTotal);
    }

    [Fact]
    public async Task What_is_missing_when_the_sweep_is_assembled_is_run_again()
    {
        var context = new Recorder(groups: 4, bands: 1);
        context.Missing.Enqueue(new AssembleReport(null, [], [1, 3]));
        context.Missing.Enqueue(new AssembleReport(null, [], [3]));

        await SweepWorkflow.RunAsync(context);

        Assert.Equal(["AssembleSweep", "PatchHeads 1", "PatchHeads 3", "AssembleSweep", "PatchHeads 3", "AssembleSweep"], context.Calls.Skip(5));
        Assert.Equal(SweepPhase.Done, context.Reports[^1].Phase);
    }

    [Fact]
    public async Task What_the_report_wants_beside_the_runs_is_made_before_it_is_put_together_again()
    {
        var context = new Recorder(groups: 2, bands: 1);
        context.Missing.Enqueue(new AssembleReport(null, [], []) { MissingAttributions = [1] });
        context.Missing.Enqueue(new AssembleReport(null, [], []) { WantsPatterns = true });

        await SweepWorkflow.RunAsync(context);

        Assert.Equal(["AssembleSweep", "AttributeLogits 1", "AssembleSweep", "ReadPatterns"], context.Calls.Skip(3));
        Assert.Equal(SweepPhase.Done, context.Reports[^1].Phase);
    }

    [Fact]
    public async Task A_store_that_keeps_nothing_fails_the_sweep()
    {
        var context = new Recorder(groups: 1, bands: 1);
        for (int round = 0; round < 20; round++)
        {
            context.Missing.Enqueue(new AssembleReport(null, [], [0]));
        }

        Assert.Contains("deletes", (await Assert.ThrowsAsync<InvalidOperationException>(() => SweepWorkflow.RunAsync(context))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wave_of_many_parts_is_run_as_orchestrations_of_a_bounded_number_each()
    {
        var context = new Recorder(groups: 1050, bands: 1);

        await SweepWorkflow.RunAsync(context);

        Assert.Equal([200, 200, 200, 200, 200, 50], context.Waves.Select(wave => wave.Parts.Count));
        Assert.Equal(Enumerable.Range(0, 1050), context.Waves.SelectMany(wave => wave.Parts));
        Assert.Equal(2100, context.Reports[^1].TasksDone);
        Assert.Equal(1050, context.Done!.Activities);
    }

    [Fact]
    public async Task Run_again_from_its_history_it_asks_for_the_same_in_the_same_order()
    {
        var first = new Recorder(groups: 4, bands: 3);
        await SweepWorkflow.RunAsync(first);
        var second = new Recorder(groups: 4, bands: 3);
        await SweepWorkflow.RunAsync(second);

        Assert.Equal(first.Calls, second.Calls);
        Assert.Equal(first.Reports, second.Reports);
    }

    [Fact]
    public async Task A_cancelled_sweep_starts_nothing_more()
    {
        var context = new Recorder(groups: 2, bands: 2);
        context.OnCall = call => context.CancelRequested |= call == "CacheActivations 0";

        await Assert.ThrowsAsync<SweepCancelledException>(() => SweepWorkflow.RunAsync(context));

        Assert.DoesNotContain(context.Calls, call => call.StartsWith("PatchHeads", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_failed_activity_fails_the_sweep()
    {
        var context = new Recorder(groups: 3, bands: 1) { OnCall = call => { if (call == "PatchHeads 1") { throw new IOException("lost"); } } };

        await Assert.ThrowsAsync<IOException>(() => SweepWorkflow.RunAsync(context));

        Assert.DoesNotContain("AssembleSweep", context.Calls);
    }

    [Fact]
    public async Task Waiting_for_very_many_activities_takes_one_step_each()
    {
        const int Groups = 40_000;
        var context = new Recorder(Groups, bands: 1, Method.Attribution) { Pending = new() };
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
        Assert.Equal((2 * Groups, 2 * Groups), (context.Reports[^1].ChunksCached, context.Reports[^1].ChunksEstimated));
        TestContext.Current.TestOutputHelper?.WriteLine($"{Groups} activities in {stopwatch.Elapsed.TotalSeconds:F2} s.");
    }

    /// <summary>Plans of groups of two chunks each.</summary>
    private sealed class Recorder(int groups, int bands, Method method = Method.Exact) : ISweepContext
    {
        public string SweepId => "sweep";

        public bool CancelRequested { get; set; }

        public List<string> Calls { get; } = [];

        public List<PartsInput> Waves { get; } = [];

        public List<SweepProgress> Reports { get; } = [];

        public Queue<AssembleReport> Missing { get; } = [];

        public WorkReport? Done { get; private set; }

        public Action<string> OnCall { get; set; } = _ => { };

        /// <summary>Where it is given, the activities of parts end only when it is told so, by these.</summary>
        public ConcurrentStack<Action>? Pending { get; init; }

        public async Task<TOutput> CallAsync<TOutput>(string activity, ActivityInput input)
        {
            string call = typeof(TOutput) == typeof(WorkReport) ? $"{activity} {input.Part}" : activity;
            Calls.Add(call);
            if (Pending is not null && activity is (ActivityNames.CacheActivations or ActivityNames.EstimateEffects))
            {
                var ended = new TaskCompletionSource();
                Pending.Push(ended.SetResult);
                await ended.Task;
            }

            OnCall(call);
            Done = input.Done ?? Done;
            object output = activity switch
            {
                ActivityNames.PlanSweep => new PlanSize(3, 2 * groups, groups, bands * groups, 2 * bands * groups, method, SumSlices: 0, 1, 1, 1, 1, 1, 1),
                ActivityNames.ScreenHeads => 2,
                ActivityNames.ReadPatterns => new AssembleReport(new SweepSummary(input.SweepId, 1, 1, []), [], []),
                ActivityNames.AssembleSweep => Missing.TryDequeue(out AssembleReport? missing) ? missing : new AssembleReport(new SweepSummary(input.SweepId, 1, 1, []), [], []),
                ActivityNames.PatchHeads => new WorkReport(Activities: 1, Chunks: 2, Runs: 2, PatchedRuns: 10, ForwardPasses: bands == 1 && method == Method.Exact ? 2 : 0),
                _ => new WorkReport(Activities: 1, Chunks: 2, ForwardPasses: 2),
            };
            return (TOutput)output;
        }

        public Task<WorkReport> CallPartsAsync(PartsInput parts)
        {
            Waves.Add(parts);
            return SweepWorkflow.RunPartsAsync(this, parts, _ => { });
        }

        public void Report(SweepProgress progress) => Reports.Add(progress);
    }
}
