using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts;
using HeadPatching.Functions.Orchestration;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using HeadPatching.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace HeadPatching.Functions.Tests;

/// <summary>Sweeps that are in the store and not, or no more, in the durable engine: of the command line, of a caller that died, or with a history that was purged.</summary>
public class SharedStoreTests
{
    private static readonly TimeSpan Week = TimeSpan.FromDays(7);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_sweep_that_nobody_runs_is_started_when_the_app_tidies_up()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        string id = await StoreAsync(durable, TimeSpan.FromHours(1));
        string young = await StoreAsync(durable, TimeSpan.FromSeconds(5)); // whose caller may be about to schedule it
        Assert.Equal(SweepState.Queued, (await durable.Host.FindAsync(id, Stop))!.Status);

        await durable.Host.TidyAsync(Week, Stop);
        Assert.Equal(SweepState.Completed, (await durable.EndAsync(id)).Status);
        Assert.Equal(SweepState.Queued, (await durable.Host.FindAsync(young, Stop))!.Status);
    }

    [Fact]
    public async Task A_sweep_that_nobody_runs_is_deleted_and_one_that_another_engine_holds_is_cancelled_there()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        string id = await StoreAsync(durable, TimeSpan.FromHours(1));
        Assert.Equal(Removal.Deleted, await durable.Host.RemoveAsync(id, Stop));
        Assert.Null(await durable.Host.FindAsync(id, Stop));
        Assert.Empty(await durable.Store.ListAsync(SweepArtifacts.Folder(id), Stop).ToListAsync(Stop));

        string held = await StoreAsync(durable, TimeSpan.FromHours(1));
        await durable.Store.ReplaceTextAsync(SweepArtifacts.Lease(held), "{}", Stop);
        await durable.Host.TidyAsync(Week, Stop);
        Assert.Equal(SweepState.Queued, (await durable.Host.FindAsync(held, Stop))!.Status);
        Assert.Equal(Removal.Cancelling, await durable.Host.RemoveAsync(held, Stop));
        Assert.True(await durable.Store.ExistsAsync(SweepArtifacts.CancelMark(held), Stop));

        durable.Time.By = TimeSpan.FromMinutes(2); // nobody has renewed the lease
        Assert.Equal(Removal.Deleted, await durable.Host.RemoveAsync(held, Stop));
        Assert.Null(await durable.Host.FindAsync(held, Stop));
    }

    [Fact]
    public async Task A_sweep_whose_history_was_purged_has_its_status_and_results_and_its_key_makes_no_other()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync();
        string id = (await durable.Host.SubmitAsync(new SweepRequest(), "key", null, Stop)).Status.Id;
        SweepStatus ended = await durable.EndAsync(id);
        var unequal = new PromptPair(Prompt.Of(" Mary and John"), Prompt.Of(" Mary"), Answer.Of(" Mary"), Answer.Of(" John"));
        string failed = (await durable.Host.SubmitAsync(new SweepRequest { Pairs = [unequal] }, null, null, Stop)).Status.Id;
        await durable.EndAsync(failed);

        durable.Time.By = TimeSpan.FromDays(6);
        await durable.Host.TidyAsync(Week, Stop);
        Assert.Equal(2, (await durable.OrchestrationsAsync()).Count);
        durable.Time.By = TimeSpan.FromDays(8);
        await durable.Host.TidyAsync(Week, Stop);
        Assert.Empty(await durable.OrchestrationsAsync());

        SweepStatus kept = (await durable.Host.FindAsync(id, Stop))!;
        Assert.Equal((SweepState.Completed, SweepPhase.Done, ended.FinishedAt), (kept.Status, kept.Progress.Phase, kept.FinishedAt));
        Assert.Equal(FaultKinds.UnequalLength, Assert.Single((await durable.Host.FindAsync(failed, Stop))!.Error!.Faults).Kind);
        Assert.NotNull(await durable.Store.ReadTextAsync(SweepArtifacts.Result(id, "results.json"), Stop));
        Submission again = await durable.Host.SubmitAsync(new SweepRequest(), "key", null, Stop);
        Assert.Equal((SubmissionOutcome.Known, SweepState.Completed), (again.Outcome, again.Status.Status));
        Assert.Empty(await durable.OrchestrationsAsync());

        Assert.Equal(Removal.Deleted, await durable.Host.RemoveAsync(id, Stop));
        Assert.Null(await durable.Host.FindAsync(id, Stop));
    }

    [Fact]
    public async Task A_store_that_fails_while_the_watch_for_the_cancel_mark_ends_fails_no_finished_activity()
    {
        using var folder = new TemporaryFolder();
        var local = new LocalArtifactStore(folder["store"]);
        string id = SweepIds.New();
        await local.StoreAsync(new StoredRequest(id, DateTimeOffset.UtcNow, new SweepRequest(), null), Stop);
        int looks = 0;
        using var planned = new ManualResetEventSlim();
        var store = new WatchedStore(local)
        {
            Before = name =>
            {
                if (name == SweepArtifacts.CancelMark(id) && Interlocked.Increment(ref looks) == 2)
                {
                    planned.Wait(TimeSpan.FromSeconds(30));
                    Thread.Sleep(200); // the activity's end waits for this look
                    throw new IOException("The store is away.");
                }
            },
        };
        var catalog = new ModelCatalog();
        using var models = new LoadedModels(catalog, threads: 1);
        var places = new FairSlots(1, TimeProvider.System);
        var activities = new SweepActivities(store, new ActivityTable(local, catalog, models, [], TimeProvider.System), places, new CallbackDeliveries(store, sender: null, TimeProvider.System, NullLogger<CallbackDeliveries>.Instance));
        IDisposable taken = await places.TakeAsync("another", Stop);
        IDisposable beginner = await places.TakeAsync("yet another", Stop);
        Task<Served<PlanSize>> planning = activities.PlanAsync(new ActivityInput(id), Stop);
        while (Volatile.Read(ref looks) < 2)
        {
            await Task.Delay(20, Stop);
        }

        taken.Dispose();
        beginner.Dispose();
        while (!await local.ExistsAsync(SweepArtifacts.Plan(id), Stop))
        {
            await Task.Delay(20, Stop);
        }

        planned.Set();
        Assert.Equal(3, (await planning).Output!.Layers);
    }

    /// <summary>Puts a request into the store as a caller does that dies before it schedules the sweep.</summary>
    private static async Task<string> StoreAsync(DurableSweeps durable, TimeSpan ago)
    {
        string id = SweepIds.New();
        await durable.Store.StoreAsync(new StoredRequest(id, DateTimeOffset.UtcNow - ago, new SweepRequest(), null), Stop);
        return id;
    }
}
