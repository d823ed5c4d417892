using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Series;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using HeadPatching.Testing;

namespace HeadPatching.Functions.Tests;

/// <summary>Sweeps on the durable engine, as the Functions app runs them.</summary>
public class DurableSweepTests
{
    public static TheoryData<SweepRequest, int> Kinds { get; } = new()
    {
        { new SweepRequest { Patch = Patch.V, Positions = Positions.Each }, 3 },
        { new SweepRequest { Method = Method.Attribution }, 0 },
        { new SweepRequest { Method = Method.Screen, ScreenTop = 3 }, 1 }, // the three are in the last layer
        { new SweepRequest { Dataset = "ioi-generated", Count = 60, Method = Method.Adaptive }, 0 }, // heads are decided, not layers
        { new SweepRequest { Receivers = [Receiver.Of(2, 6, ReceiverInput.V)] }, 3 },
        { new SweepRequest { Ablation = Ablation.Mean }, 3 },
        { new SweepRequest { Circuit = CircuitOf.Heads, CircuitRandom = 3, PatchSets = ["L2H6,L2H0"] }, 3 },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_sweep_fans_out_and_in_and_gives_what_the_embedded_engine_gives(SweepRequest request, int layers)
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        Submission submission = await durable.Host.SubmitAsync(request, "the same", traceParent: null);
        Assert.Equal(SubmissionOutcome.Accepted, submission.Outcome);
        SweepStatus status = await durable.EndAsync(submission.Status.Id);
        Assert.Equal(SweepState.Completed, status.Status);
        Assert.Equal(SweepPhase.Done, status.Progress.Phase);
        Assert.Equal((layers, layers), (status.Progress.LayersDone, status.Progress.LayersTotal));

        using var folder = new TemporaryFolder();
        await using var embedded = new InProcessEngine(new LocalArtifactStore(folder.Path), new ModelCatalog(), ReportFiles.All, new EngineOptions { Parallelism = Environment.ProcessorCount });
        await embedded.RunAsync(status.Id, request);
        Assert.Equal(await StoredResults.ReadAsync(embedded.Store, status.Id), await StoredResults.ReadAsync(durable.Store, status.Id));
    }

    [Fact]
    public async Task The_orchestrator_is_replayed_from_its_history_after_every_activity_and_never_strays_from_it()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        int activities = 0;
        durable.Before = (_, _) => Interlocked.Increment(ref activities);
        Submission submission = await durable.Host.SubmitAsync(new SweepRequest(), null, null);
        SweepStatus status = await durable.EndAsync(submission.Status.Id);

        // A step that differs from the history fails the orchestration with a non-determinism error; here there were several replays.
        Assert.Equal((SweepState.Completed, null), (status.Status, status.Error));
        Assert.Equal(4, activities); // plan, one part of all layers over all pairs, assemble, the patterns of the report
        Assert.InRange(durable.OrchestratorRuns, 3, 5);
    }

    [Fact]
    public async Task An_activity_that_fails_once_is_run_again()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        int failures = 0;
        durable.Before = (name, input) =>
        {
            if (name == ActivityNames.PatchHeads && Interlocked.Increment(ref failures) == 1)
            {
                throw new IOException("The host was lost.");
            }
        };
        Submission submission = await durable.Host.SubmitAsync(new SweepRequest(), null, null);
        Assert.Equal(SweepState.Completed, (await durable.EndAsync(submission.Status.Id)).Status);
        Assert.Equal(2, failures);
    }

    [Fact]
    public async Task An_activity_that_always_fails_fails_the_sweep_with_its_message_after_all_attempts()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        int attempts = 0;
        durable.Before = (name, _) =>
        {
            if (name == ActivityNames.PatchHeads)
            {
                Interlocked.Increment(ref attempts);
                throw new IOException("The disk is full.");
            }
        };
        Submission submission = await durable.Host.SubmitAsync(new SweepRequest(), null, null);
        SweepStatus status = await durable.EndAsync(submission.Status.Id);
        Assert.Equal(SweepState.Failed, status.Status);
        Assert.Contains("The disk is full.", status.Error!.Message, StringComparison.Ordinal);
        Assert.Equal(new RetryRules().MaxAttempts, attempts);
    }

    [Fact]
    public async Task Invalid_input_is_not_retried_and_its_faults_are_in_the_status()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        int attempts = 0;
        durable.Before = (_, _) => Interlocked.Increment(ref attempts);
        var unequal = new PromptPair(Prompt.Of(" Mary and John"), Prompt.Of(" Mary"), Answer.Of(" Mary"), Answer.Of(" John"));
        Submission submission = await durable.Host.SubmitAsync(new SweepRequest { Pairs = [unequal] }, null, null);
        SweepStatus status = await durable.EndAsync(submission.Status.Id);
        Assert.Equal(SweepState.Failed, status.Status);
        Fault fault = Assert.Single(status.Error!.Faults);
        Assert.Equal((FaultKinds.UnequalLength, "pairs[0]"), (fault.Kind, fault.Where));
        Assert.Equal(1, attempts);
    }

    [Fact]
    public async Task What_another_attempt_would_not_mend_is_not_retried()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        int attempts = 0;
        string request = "";
        durable.Before = (name, input) =>
        {
            if (name == ActivityNames.PatchHeads)
            {
                // The plan alone would be made again, from the request.
                request = durable.Store.ReadTextAsync(SweepArtifacts.Request(input.SweepId)).GetAwaiter().GetResult()!.Text;
                durable.Store.DeleteAsync(SweepArtifacts.Plan(input.SweepId)).GetAwaiter().GetResult();
                durable.Store.DeleteAsync(SweepArtifacts.Request(input.SweepId)).GetAwaiter().GetResult();
                Interlocked.Increment(ref attempts);
            }
        };
        Submission submission = await durable.Host.SubmitAsync(new SweepRequest(), null, null);
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (attempts == 0 || durable.Running > 0)
        {
            await Task.Delay(20, patience.Token);
        }

        // Without it there would be no status. An attempt after this would succeed.
        await durable.Store.ReplaceTextAsync(SweepArtifacts.Request(submission.Status.Id), request, patience.Token);
        SweepStatus status = await durable.EndAsync(submission.Status.Id);
        Assert.Equal(SweepState.Failed, status.Status);
        Assert.Equal($"The artifact sweeps/{status.Id}/request.json is missing from the store.", status.Error!.Message);
        Assert.Equal(1, attempts);
    }

    [Fact]
    public async Task Faults_that_show_only_when_the_model_runs_are_in_the_status_too()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        int attempts = 0;
        durable.Before = (name, _) => attempts += name == ActivityNames.PatchHeads ? 1 : 0;
        PromptPair[] pairs = [new PromptPair(Prompt.Of([1, 2, 3]), Prompt.Of([1, 4, 3]), Answer.Of(5), Answer.Of(6))];
        Submission submission = await durable.Host.SubmitAsync(new SweepRequest { Model = "broken", Pairs = pairs }, null, null);
        SweepStatus status = await durable.EndAsync(submission.Status.Id);
        Assert.Equal(SweepState.Failed, status.Status);
        Fault fault = Assert.Single(status.Error!.Faults);
        Assert.Equal((FaultKinds.InvalidWeights, "The tensor 'wte.weight' holds a NaN or an infinite number; the file is damaged, or its training failed."), (fault.Kind, fault.Message));
        Assert.Equal(1, attempts);
    }

    [Fact]
    public async Task A_cancelled_sweep_stops_and_its_running_activities_see_the_mark()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        PromptPair[] pairs =
        [
            .. Enumerable.Range(0, 60).Select(i => new PromptPair(
                Prompt.Of([.. Enumerable.Range(i, 60)]), Prompt.Of([i + 1, .. Enumerable.Range(i + 1, 59)]), Answer.Of(1), Answer.Of(2))),
        ];
        Submission submission = await durable.Host.SubmitAsync(new SweepRequest { Model = "large", Pairs = pairs }, null, null);
        string id = submission.Status.Id;
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while ((await durable.Host.FindAsync(id, patience.Token))!.Progress.TasksDone == 0)
        {
            await Task.Delay(50, patience.Token);
        }

        Assert.Equal(Removal.Cancelling, await durable.Host.RemoveAsync(id, patience.Token));
        Assert.Equal(SweepState.Cancelled, (await durable.EndAsync(id)).Status);
        while (durable.Running > 0) // each looks for the mark once a second
        {
            await Task.Delay(50, patience.Token);
        }

        int layers = await LayersAsync();
        await Task.Delay(2000, patience.Token); // what was still queued may begin now, and sees the mark
        Assert.Equal(layers, await LayersAsync());
        Assert.Null(await durable.Store.ReadTextAsync(SweepArtifacts.Result(id, "results.json"), patience.Token));

        Assert.Equal(Removal.Deleted, await durable.Host.RemoveAsync(id, patience.Token));
        Assert.Null(await durable.Host.FindAsync(id, patience.Token));

        async Task<int> LayersAsync() => await durable.Store.ListAsync("runs", patience.Token).CountAsync(patience.Token);
    }

    [Fact]
    public async Task Two_sweeps_at_once_both_complete_and_the_same_key_makes_one()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        Submission[] submissions = await Task.WhenAll(
            durable.Host.SubmitAsync(new SweepRequest(), null, null), durable.Host.SubmitAsync(new SweepRequest { Patch = Patch.Q }, null, null));
        foreach (Submission submission in submissions)
        {
            Assert.Equal(SweepState.Completed, (await durable.EndAsync(submission.Status.Id)).Status);
        }

        Submission[] keyed = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => durable.Host.SubmitAsync(new SweepRequest(), "key", null)));
        Assert.Single(keyed.Select(submission => submission.Status.Id).Distinct());
        Assert.Single(keyed, submission => submission.Outcome == SubmissionOutcome.Accepted);
        Assert.Equal(SubmissionOutcome.Conflict, (await durable.Host.SubmitAsync(new SweepRequest { Top = 3 }, "key", null)).Outcome);
        Assert.Equal(SweepState.Completed, (await durable.EndAsync(keyed[0].Status.Id)).Status);
        Assert.Equal(3, (await durable.Host.ListAsync()).Total);
    }

    [Fact]
    public async Task A_series_is_an_orchestration_of_each_model_and_the_same_key_makes_no_other()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        var series = new SeriesSweeps(durable.Host, TimeProvider.System);
        var request = new SweepRequest { Pairs = [new PromptPair(Prompt.Of([1, 2, 3]), Prompt.Of([1, 4, 3]), Answer.Of(5), Answer.Of(6))] };
        CancellationToken stop = TestContext.Current.CancellationToken;
        StoredSeries stored = (await series.SubmitAsync(request, ["deep", "broken"], "key", null, stop)).Series;
        foreach (SeriesSweep sweep in stored.Sweeps)
        {
            await durable.EndAsync(sweep.SweepId);
        }

        SeriesStatus status = (await series.FindAsync(stored.Id, stop))!;
        Assert.Equal((SweepState.Failed, 1), (status.State, status.Completed)); // of the broken model's weights one is no number
        Assert.Equal(SubmissionOutcome.Known, (await series.SubmitAsync(request, ["deep", "broken"], "key", null, stop)).Outcome);
        Assert.Equal(2, (await durable.Host.ListAsync(cancellationToken: stop)).Total);
        Assert.Equal(stored.Id, Assert.Single((await series.ListAsync(10, null, stop)).Series).Series.Id);
        Assert.Equal(Removal.Deleted, await series.RemoveAsync(stored.Id, stop));
        Assert.Equal(0, (await durable.Host.ListAsync(cancellationToken: stop)).Total);
        Assert.Empty(await durable.Store.ListAsync(SweepArtifacts.Series, stop).ToListAsync(stop));
    }
}
