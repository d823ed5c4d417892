using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.ExceptionServices;
using HeadPatching.Core.Prompts;
using HeadPatching.Functions.Orchestration;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using HeadPatching.Testing;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Logging.Abstractions;

namespace HeadPatching.Functions.Tests;

/// <summary>Sweeps of more parts than one orchestration fans out to.</summary>
public class ManyPartsTests
{
    private const string Key = "many parts";

    private static readonly string Id = SweepIds.OfKey(Key);

    private const int AtOnce = 32;

    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>35 prompts of a length of their own each, which cannot share a chunk: with 6 layers, 210 parts.</summary>
    private static SweepRequest Request { get; } = new()
    {
        Model = "deep",
        Pairs =
        [
            .. Enumerable.Range(3, 35).Select(length => new PromptPair(
                Prompt.Of([.. Enumerable.Range(0, length)]), Prompt.Of([0, 39, .. Enumerable.Range(2, length - 2)]), Answer.Of(1), Answer.Of(2))),
        ],
    };

    [Fact]
    public async Task They_are_run_by_orchestrations_of_their_own_and_give_what_the_embedded_engine_gives()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync(AtOnce);
        await WritePlanAsync(durable.Store, durable.Catalog);
        await durable.Host.SubmitAsync(Request, Key, null);
        SweepStatus status = await durable.EndAsync(Id);
        Assert.Equal((SweepState.Completed, null), (status.Status, status.Error));
        Assert.Equal((210, 210, 6), (status.Progress.TasksDone, status.Progress.TasksTotal, status.Progress.LayersDone));

        IReadOnlyList<OrchestrationMetadata> parts = await PartsAsync(durable);
        Assert.Equal(2, parts.Count); // of 200 and of 10
        Assert.All(parts, one => Assert.Equal(OrchestrationRuntimeStatus.Completed, one.RuntimeStatus));
        Assert.Equal(1 + 35 + 210 + 2, durable.Activities); // the last two assemble and read patterns
        Assert.Equal((await durable.Store.RequireJsonAsync<SweepPlan>(SweepArtifacts.Plan(Id), TestContext.Current.CancellationToken)).Activities, durable.Activities); // as was said beforehand
        Assert.Equal(Id, Assert.Single((await durable.Host.ListAsync()).Sweeps).Id); // the orchestrations of parts are no sweeps

        using var folder = new TemporaryFolder();
        await using var embedded = new InProcessEngine(new LocalArtifactStore(folder.Path), durable.Catalog, ReportFiles.All, new EngineOptions { Parallelism = Environment.ProcessorCount });
        await WritePlanAsync(embedded.Store, durable.Catalog);
        await embedded.RunAsync(Id, Request);
        Assert.Equal(await StoredResults.ReadAsync(embedded.Store, Id), await StoredResults.ReadAsync(durable.Store, Id));

        Assert.Equal(Removal.Deleted, await durable.Host.RemoveAsync(Id));
        Assert.Empty(await durable.OrchestrationsAsync());
    }

    [Fact]
    public async Task Cancelling_ends_those_orchestrations_too_and_what_they_have_queued_costs_nothing_and_deleting_purges_their_histories()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync(AtOnce);
        await WritePlanAsync(durable.Store, durable.Catalog);
        durable.Hold = HoldAsync;
        await durable.Host.SubmitAsync(Request, Key, null);
        await UntilAsync(async () => (await PartsAsync(durable)).Count == 2 && durable.Activities > 1 + 35);

        Assert.Equal(Removal.Cancelling, await durable.Host.RemoveAsync(Id));
        Assert.Equal(SweepState.Cancelled, (await durable.EndAsync(Id)).Status);
        await UntilAsync(async () => (await PartsAsync(durable)).All(one => one.IsCompleted));
        Assert.All(await PartsAsync(durable), one => Assert.Equal(OrchestrationRuntimeStatus.Terminated, one.RuntimeStatus));

        int loads = durable.ModelLoads;
        _gate.SetResult();
        await UntilAsync(() => Task.FromResult(durable.Running == 0));
        Assert.InRange(durable.Activities, 1 + 35 + 2, 1 + 35 + 12); // no more were in the queue than two orchestrations put there at first
        Assert.Equal(loads, durable.ModelLoads);
        Assert.Empty(await durable.Store.ListAsync("runs").ToListAsync(TestContext.Current.CancellationToken));

        Assert.Equal(Removal.Deleted, await durable.Host.RemoveAsync(Id));
        Assert.Empty(await durable.OrchestrationsAsync());
    }

    [Fact]
    public async Task A_small_sweep_ends_while_a_large_one_has_every_place_of_the_host()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync(activitiesAtOnce: 4, slots: 2);
        await WritePlanAsync(durable.Store, durable.Catalog);
        using var gate = new ManualResetEventSlim();
        int patching = 0, held = 0;
        durable.Before = (name, input) => patching += name == ActivityNames.PatchHeads && input.SweepId == Id ? 1 : 0;
        durable.Working.Before = name =>
        {
            if (patching > 0 && name.Contains(Id, StringComparison.Ordinal) && !gate.IsSet)
            {
                Interlocked.Increment(ref held);
                gate.Wait(TimeSpan.FromSeconds(60));
            }
        };
        await durable.Host.SubmitAsync(Request, Key, null);
        await UntilAsync(() => Task.FromResult(Volatile.Read(ref held) == 2));

        Submission small = await durable.Host.SubmitAsync(new SweepRequest(), null, null);
        Assert.Equal(SweepState.Completed, (await durable.EndAsync(small.Status.Id)).Status);
        Assert.Equal((SweepState.Running, 2), ((await durable.Host.FindAsync(Id))!.Status, held));

        gate.Set();
        SweepStatus status = await durable.EndAsync(Id);
        Assert.Equal((SweepState.Completed, null, 210), (status.Status, status.Error, status.Progress.TasksDone));
        Assert.InRange(durable.Activities, 1 + 35 + 210 + 1 + 3, 350); // some were turned away and came again
    }

    [Fact]
    public async Task Deleting_ends_and_purges_those_that_still_go_on_where_somebody_ended_the_sweep_alone()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync(AtOnce);
        await WritePlanAsync(durable.Store, durable.Catalog);
        durable.Hold = HoldAsync;
        await durable.Host.SubmitAsync(Request, Key, null);
        await UntilAsync(async () => (await PartsAsync(durable)).Count == 2 && durable.Activities > 1 + 35);
        await durable.Client.TerminateInstanceAsync(Id, output: null, TestContext.Current.CancellationToken);
        await durable.EndAsync(Id);
        Assert.Equal(2, (await PartsAsync(durable)).Count(one => !one.IsCompleted));

        Assert.Equal(Removal.Deleted, await durable.Host.RemoveAsync(Id));
        Assert.Empty(await durable.OrchestrationsAsync());
        _gate.SetResult();
    }

    [Fact]
    public async Task An_activity_of_a_cancelled_sweep_looks_at_the_mark_and_at_nothing_else()
    {
        using var folder = new TemporaryFolder();
        RandomModelFolder.Write(folder["models/deep"], layers: 6, heads: 2, width: 16, vocabulary: 40, context: 40, seed: 3);
        var catalog = new ModelCatalog(folder["models"]);
        var local = new LocalArtifactStore(folder["store"]);
        await WritePlanAsync(local, catalog);
        await local.ReplaceTextAsync(SweepArtifacts.CancelMark(Id), "", TestContext.Current.CancellationToken);
        using var models = new LoadedModels(catalog, threads: 1);
        IArtifactStore store = RemoteStore.Over(local, out ConcurrentQueue<string> calls);
        var activities = new SweepActivities(store, new ActivityTable(store, catalog, models, [], TimeProvider.System), new FairSlots(2, TimeProvider.System), new CallbackDeliveries(store, sender: null, TimeProvider.System, NullLogger<CallbackDeliveries>.Instance));

        foreach (Func<ActivityInput, CancellationToken, Task> activity in (Func<ActivityInput, CancellationToken, Task>[])[activities.PlanAsync, activities.CacheAsync, activities.PatchAsync, activities.AssembleAsync])
        {
            calls.Clear();
            await Assert.ThrowsAsync<SweepCancelledException>(() => activity(new ActivityInput(Id), CancellationToken.None));
            Assert.Equal([$"{nameof(IArtifactStore.ExistsAsync)} {SweepArtifacts.CancelMark(Id)}"], calls);
        }

        Assert.Equal(0, models.Loads);
    }

    // Not for ever: the host ends when its activities have.
    private Task HoldAsync(string activity) =>
        activity == ActivityNames.PatchHeads ? Task.WhenAny(_gate.Task, Task.Delay(TimeSpan.FromSeconds(30))) : Task.CompletedTask;

    private static async Task<IReadOnlyList<OrchestrationMetadata>> PartsAsync(DurableSweeps durable) =>
        [.. (await durable.OrchestrationsAsync()).Where(one => one.Name == SweepOrchestrator.PartsName)];

    private static async Task UntilAsync(Func<Task<bool>> isSo)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!await isSo())
        {
            await Task.Delay(20, patience.Token);
        }
    }

    /// <summary>Stores the plan that the planner makes, cut finer: each layer of each chunk is a part. It is taken as it lies there.</summary>
    private static async Task WritePlanAsync(IArtifactStore store, ModelCatalog catalog)
    {
        PlannedSweep plan = await SweepPlanner.PlanAsync(Request, DateTimeOffset.UnixEpoch, catalog, FaultPlaces.JsonPaths);
        PlannedChunk[] chunks = [.. plan.Parts.Take(plan.Header.Size.Groups).SelectMany(part => part.Chunks)];
        int layers = plan.Header.Size.Layers;
        PlannedPart[] parts =
        [
            .. Enumerable.Range(0, layers).SelectMany(layer => chunks.Select((chunk, group) => new PlannedPart(layer, layer, [chunk])
            {
                Bands = layer > 0 ? [] : [.. Enumerable.Range(0, layers).Select(band => new PlannedBand(band, band, (band * chunks.Length) + group))],
            })),
        ];
        PlanSize size = plan.Header.Size with { Groups = chunks.Length, Parts = parts.Length, Runs = parts.Length };
        await new StoredPlans(store, catalog).WriteAsync(Id, plan with { Header = plan.Header with { Size = size }, Parts = parts }, CancellationToken.None);
    }

    /// <summary>A store whose answers take a while, as a remote one's do, and that says what it was asked.</summary>
    public class RemoteStore : DispatchProxy
    {
        private readonly ConcurrentQueue<string> _calls = [];
        private IArtifactStore _store = null!;

        public static IArtifactStore Over(IArtifactStore store, out ConcurrentQueue<string> calls)
        {
            IArtifactStore proxy = Create<IArtifactStore, RemoteStore>();
            var remote = (RemoteStore)(object)proxy;
            remote._store = store;
            calls = remote._calls;
            return proxy;
        }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            if (!targetMethod!.IsSpecialName) // a property asks the store for nothing
            {
                _calls.Enqueue($"{targetMethod.Name} {args![0]}");
            }

            try
            {
                object? answer = targetMethod.Invoke(_store, args);
                return answer is Task<bool> exists ? LaterAsync(exists) : answer;
            }
            catch (TargetInvocationException e)
            {
                ExceptionDispatchInfo.Throw(e.InnerException!);
                throw;
            }
        }

        private static async Task<bool> LaterAsync(Task<bool> answer)
        {
            await Task.Delay(50);
            return await answer;
        }
    }
}
