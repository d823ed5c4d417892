using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using HeadPatching.Testing;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>Several engines on one store, and what dead ones left in it.</summary>
public sealed class SharedStoreTests : IDisposable
{
    private const string Elsewhere = "0123456789ab-1-1"; // a process of another machine: nobody here can see whether it lives

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Engines_share_the_sweeps_and_each_sweep_is_taken_up_once()
    {
        await using InProcessEngine one = Engine(), other = Engine();
        await one.ResumeAsync(Stop);
        await other.ResumeAsync(Stop);
        string[] ids = await Task.WhenAll(Enumerable.Range(0, 12).Select(async i => (await (i % 3 == 0 ? other : one).SubmitAsync(new SweepRequest(), null, null, Stop)).Status.Id));
        await UntilAsync(async () => (await one.ListAsync(cancellationToken: Stop)).Sweeps.All(status => status.Status == SweepState.Completed));
        SweepPage page = await other.ListAsync(cancellationToken: Stop);
        Assert.Equal(ids.Order(), page.Sweeps.Select(status => status.Id).Order());
        Assert.All(page.Sweeps, status => Assert.Equal(1, status.Run));
    }

    [Fact]
    public async Task The_same_sweep_asked_for_twice_is_run_by_one_and_followed_by_the_other_which_goes_on_when_that_one_stops()
    {
        WriteLargeModel();
        string id = SweepIds.OfKey("twice");
        SweepRequest request = Large(pairs: 60);
        await using InProcessEngine follower = Engine();
        var runs = 0L;
        var followed = new List<SweepStatus>();
        follower.WorkDone += step => Interlocked.Add(ref runs, step.PatchedRuns);
        follower.Changed += followed.Add;
        Task<SweepStatus> first, second;
        await using (InProcessEngine owner = Engine())
        {
            first = owner.RunAsync(id, request, Stop);
            await UntilAsync(async () => await follower.FindOwnerAsync(id, Stop) is not null && (await follower.FindAsync(id, Stop))?.Progress.TasksDone > 0);
            second = follower.RunAsync(id, request, Stop);
            await UntilAsync(() => Task.FromResult(followed.ToArray().Any(status => status.Progress.TasksDone > 0)));
            Assert.Equal(0, Interlocked.Read(ref runs));
        }

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        SweepStatus status = await second;
        Assert.Equal((SweepState.Completed, 2), (status.Status, status.Run));
        Assert.True(status.Progress.TasksReused > 0);

        // And followed to its end.
        await using InProcessEngine again = Engine();
        string short1 = SweepIds.OfKey("short");
        SweepStatus[] both = await Task.WhenAll(follower.RunAsync(short1, new SweepRequest(), Stop), again.RunAsync(short1, new SweepRequest(), Stop));
        Assert.All(both, end => Assert.Equal(SweepState.Completed, end.Status));
    }

    [Fact]
    public async Task A_lease_of_another_machine_is_respected_while_it_moves_and_taken_when_it_stands_still()
    {
        var store = new LocalArtifactStore(_folder["store"]);
        string id = (await StoreAsync(store)).SweepId;
        await HoldAsync(store, id, Elsewhere, renewals: 0);
        await using InProcessEngine engine = Engine(new EngineOptions { LeaseDuration = TimeSpan.FromSeconds(3) });
        Assert.Equal(0, await engine.ResumeAsync(Stop));
        for (int renewals = 1; renewals < 8; renewals++)
        {
            await Task.Delay(300, Stop);
            await HoldAsync(store, id, Elsewhere, renewals);
            Assert.Equal(SweepState.Queued, (await engine.FindAsync(id, Stop))!.Status);
        }

        await UntilAsync(async () => (await engine.FindAsync(id, Stop))!.Status == SweepState.Completed);
    }

    [Fact]
    public async Task A_lease_of_a_dead_process_or_that_cannot_be_read_holds_nothing_up()
    {
        var store = new LocalArtifactStore(_folder["store"]);
        string dead = (await StoreAsync(store)).SweepId, unreadable = (await StoreAsync(store)).SweepId;
        await HoldAsync(store, dead, (ProcessIdentity.Current with { Id = int.MaxValue }).ToString(), renewals: 0);
        await store.ReplaceTextAsync(SweepArtifacts.Lease(unreadable), "{\"owner\":", Stop);
        await using InProcessEngine engine = Engine(new EngineOptions { LeaseDuration = TimeSpan.FromHours(1) });
        Assert.Equal(2, await engine.ResumeAsync(Stop));
        await UntilAsync(async () => (await engine.ListAsync(cancellationToken: Stop)).Sweeps.All(status => status.Status == SweepState.Completed));
    }

    [Fact]
    public async Task An_engine_whose_sweep_was_taken_over_stops_and_writes_no_status_any_more()
    {
        WriteLargeModel();
        var store = new WatchedStore(new LocalArtifactStore(_folder["store"]));
        await using InProcessEngine engine = Engine(store: store);
        string id = (await engine.SubmitAsync(Large(pairs: 80), null, null, Stop)).Status.Id;
        await UntilAsync(async () => (await engine.FindAsync(id, Stop))!.Progress.TasksDone > 0);

        // As another engine does that has not seen its lease move.
        await HoldAsync(store, id, Elsewhere, renewals: 0);
        SweepStatus taken = (await store.FindStatusAsync(id, Stop))! with { Run = 2 };
        await store.ReplaceTextAsync(SweepArtifacts.Status(id), JsonSerializer.Serialize(taken, Core.Results.ResultJson.Compact), Stop);
        await Task.Delay(2500, Stop);
        int written = store.Written.Count;
        await Task.Delay(1500, Stop);
        Assert.Equal(written, store.Written.Count);
        Assert.Equal(taken.Progress, (await store.FindStatusAsync(id, Stop))!.Progress);
        Assert.Equal(2, (await engine.FindAsync(id, Stop))!.Run);
    }

    [Fact]
    public async Task With_one_place_for_activities_a_small_sweep_is_done_long_before_a_large_one()
    {
        WriteLargeModel();
        await using InProcessEngine engine = Engine(new EngineOptions { Parallelism = 1 });
        string large = (await engine.SubmitAsync(Large(pairs: 120), null, null, Stop)).Status.Id;
        await UntilAsync(async () => (await engine.FindAsync(large, Stop))!.Progress.TasksDone > 0);
        string small = (await engine.SubmitAsync(Large(pairs: 1), null, null, Stop)).Status.Id;
        await UntilAsync(async () => (await engine.FindAsync(small, Stop))!.Status == SweepState.Completed);
        SweepStatus beside = (await engine.FindAsync(large, Stop))!;
        Assert.Equal(SweepState.Running, beside.Status);
        Assert.InRange(beside.Progress.TasksDone, 1, beside.Progress.TasksTotal / 2);
    }

    [Fact]
    public async Task Deletions_that_were_cut_short_are_finished_and_one_that_was_only_thought_of_is_not()
    {
        var store = new LocalArtifactStore(_folder["store"]);
        string going = (await StoreAsync(store)).SweepId, staying = (await StoreAsync(store)).SweepId;
        string dead = (ProcessIdentity.Current with { Id = int.MaxValue }).ToString();
        foreach (var (id, isGoing) in ((string, bool)[])[(going, true), (staying, false)])
        {
            await store.ReplaceTextAsync(
                SweepArtifacts.DeletionMark(id, Guid.NewGuid()), new JsonObject { ["process"] = dead, ["isGoing"] = isGoing }.ToJsonString(), Stop);
        }

        await using InProcessEngine engine = Engine();
        await engine.ResumeAsync(Stop);
        Assert.Null(await engine.FindAsync(going, Stop));
        await UntilAsync(async () => (await engine.FindAsync(staying, Stop))!.Status == SweepState.Completed);
        Assert.Empty(await store.ListAsync(SweepArtifacts.Deletions, Stop).ToListAsync(Stop));
    }

    [Fact]
    public async Task A_key_used_again_while_its_sweep_is_being_deleted_makes_a_whole_new_sweep()
    {
        await using InProcessEngine one = Engine(), other = Engine();
        await one.ResumeAsync(Stop); // as a server does: what one leaves to the other, whose lease has not ended yet, is found at a later look
        await other.ResumeAsync(Stop);
        for (int round = 0; round < 5; round++)
        {
            string id = (await one.SubmitAsync(new SweepRequest(), "key", null, Stop)).Status.Id;
            await UntilAsync(async () => (await one.FindAsync(id, Stop))!.Status == SweepState.Completed);
            var deleting = (InProcessEngine[])[one, other, one, other];
            Task removals = Task.WhenAll(deleting.Select(engine => Task.Run(() => engine.RemoveAsync(id, Stop), Stop)));
            Submission[] again = await Task.WhenAll(deleting.Select(engine => Task.Run(() => engine.SubmitAsync(new SweepRequest(), "key", null, Stop), Stop)));
            await removals;

            // Whatever came first: where there is a sweep now, it has a request and runs to its end.
            Assert.DoesNotContain(again, submission => submission.Outcome == SubmissionOutcome.Conflict);
            await UntilAsync(async () => await one.FindAsync(id, Stop) is null or { HasEnded: true });
            if (await one.FindAsync(id, Stop) is SweepStatus status)
            {
                Assert.NotEqual(SweepState.Damaged, status.Status);
                await one.RemoveAsync(id, Stop);
            }

            Assert.Empty(await one.Store.ListAsync(SweepArtifacts.Folder(id), Stop).ToListAsync(Stop));
        }
    }

    /// <summary>The one that posts has looked for marks before and writes now; it must not wait for a deletion that is over.</summary>
    [Fact]
    public async Task What_is_posted_the_moment_that_another_sweep_of_its_id_is_gone_waits_for_nobody()
    {
        var store = new WatchedStore(new LocalArtifactStore(_folder["store"]));
        var request = new StoredRequest(SweepIds.OfKey("again"), DateTimeOffset.UtcNow, new SweepRequest());
        await store.StoreAsync(request, Stop);
        store.AfterDeletion = _ => store.WriteJsonIfAbsentAsync(SweepArtifacts.Request(request.SweepId), request, Stop);

        await store.DeleteSweepAsync(request.SweepId, _ => Task.FromResult(true), Stop);

        Assert.False(await store.IsBeingDeletedAsync(request.SweepId, Stop));
        await store.StoreAsync(request, Stop).WaitAsync(TimeSpan.FromSeconds(10), Stop);
        Assert.NotNull(await store.ReadRequestAsync(request.SweepId, Stop));
    }

    [Fact]
    public async Task A_list_walks_no_sweeps_artifacts_and_reads_a_final_status_once()
    {
        var store = new WatchedStore(new LocalArtifactStore(_folder["store"]));
        await using InProcessEngine engine = Engine(store: store);
        string[] ids = await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ => (await engine.SubmitAsync(new SweepRequest(), null, null, Stop)).Status.Id));
        await UntilAsync(async () => (await engine.ListAsync(cancellationToken: Stop)).Sweeps.All(status => status.Status == SweepState.Completed));
        store.Listed.Clear();
        store.Read.Clear();
        for (int times = 0; times < 10; times++)
        {
            Assert.Equal(6, (await engine.ListAsync(limit: 2, cancellationToken: Stop)).Total);
        }

        Assert.Empty(store.Listed);
        Assert.InRange(store.Read.Count, 0, ids.Length);
    }

    [Fact]
    public async Task A_store_that_fails_while_a_sweep_is_taken_up_costs_time_and_not_the_sweep()
    {
        var store = new WatchedStore(new LocalArtifactStore(_folder["store"]));
        await using InProcessEngine engine = Engine(store: store);
        await engine.ResumeAsync(Stop);
        int failures = 0;
        string id = (await engine.SubmitAsync(new SweepRequest(), null, null, Stop)).Status.Id;
        store.BeforeText = name =>
        {
            if (name.Contains(id, StringComparison.Ordinal) && Interlocked.Increment(ref failures) < 20)
            {
                throw new IOException("The network is away.");
            }
        };
        await UntilAsync(async () =>
        {
            try
            {
                return (await engine.FindAsync(id, Stop))!.Status == SweepState.Completed;
            }
            catch (IOException)
            {
                return false;
            }
        });
    }

    [Theory]
    [InlineData(1, SweepState.Queued, 1, SweepState.Running, true)]
    [InlineData(1, SweepState.Running, 1, SweepState.Running, true)]
    [InlineData(1, SweepState.Running, 1, SweepState.Failed, true)]
    [InlineData(1, SweepState.Running, 2, SweepState.Queued, true)]
    [InlineData(0, SweepState.Queued, 1, SweepState.Cancelled, true)]
    [InlineData(1, SweepState.Running, 1, SweepState.Queued, false)]
    [InlineData(2, SweepState.Queued, 1, SweepState.Completed, false)]
    [InlineData(1, SweepState.Completed, 1, SweepState.Running, false)]
    [InlineData(1, SweepState.Completed, 2, SweepState.Running, false)]
    [InlineData(1, SweepState.Cancelled, 1, SweepState.Completed, false)]
    [InlineData(1, SweepState.Damaged, 2, SweepState.Running, false)]
    public void A_status_never_goes_back(int run, SweepState state, int nextRun, SweepState next, bool follows)
    {
        SweepStatus earlier = Of(run, state), later = Of(nextRun, next);
        Assert.Equal(follows, later.Follows(earlier));

        static SweepStatus Of(int run, SweepState state) =>
            SweepStatus.Queued(new StoredRequest("n", DateTimeOffset.UnixEpoch, new SweepRequest())) with { Run = run, Status = state };
    }

    public void Dispose() => _folder.Dispose();

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        patience.CancelAfter(TimeSpan.FromMinutes(2));
        while (!await condition())
        {
            await Task.Delay(50, patience.Token);
        }
    }

    private static async Task<StoredRequest> StoreAsync(LocalArtifactStore store) =>
        (await store.StoreAsync(new StoredRequest(SweepIds.New(), DateTimeOffset.UtcNow, new SweepRequest()), Stop)).Stored;

    /// <summary>Writes a lease as another engine does.</summary>
    private static Task HoldAsync(IArtifactStore store, string id, string process, int renewals)
    {
        var owner = new JsonObject { ["engine"] = "another", ["process"] = process, ["machine"] = "elsewhere", ["processId"] = 1 };
        string text = new JsonObject { ["owner"] = owner, ["lease"] = Guid.Empty, ["renewals"] = renewals }.ToJsonString();
        return store.ReplaceTextAsync(SweepArtifacts.Lease(id), text, Stop);
    }

    private void WriteLargeModel() =>
        RandomModelFolder.Write(_folder["models/large"], layers: 4, heads: 8, width: 256, vocabulary: 300, context: 64, seed: 3);

    private static SweepRequest Large(int pairs) => new()
    {
        Model = "large",
        MemoryMiB = 1,
        Pairs =
        [
            .. Enumerable.Range(0, pairs).Select(i => new PromptPair(
                Prompt.Of([.. Enumerable.Range(i, 20)]), Prompt.Of([i + 1, .. Enumerable.Range(i + 1, 19)]), Answer.Of(1), Answer.Of(2))),
        ],
    };

    private InProcessEngine Engine(EngineOptions? options = null, IArtifactStore? store = null) => new(
        store ?? new LocalArtifactStore(_folder["store"]),
        new ModelCatalog(_folder["models"]),
        reports: [],
        (options ?? new EngineOptions { Parallelism = 2 }) with
        {
            LeaseRenewal = TimeSpan.FromSeconds(0.3),
            LookInterval = TimeSpan.FromSeconds(0.3),
            CancelInterval = TimeSpan.FromSeconds(0.1),
            Retry = new RetryRules { FirstDelay = TimeSpan.FromMilliseconds(10), MaxDelay = TimeSpan.FromMilliseconds(50) },
        });
}
