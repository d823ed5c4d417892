using HeadPatching.Functions.Orchestration;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using HeadPatching.Testing;
using Microsoft.DurableTask.Client;
using Microsoft.DurableTask.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace HeadPatching.Functions.Tests;

/// <summary>The durable engine in this process, with the app's own orchestrator, activities and host on a store of its own.</summary>
internal sealed class DurableSweeps : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private LoadedModels _models = null!;
    private DurableTaskTestHost _durable = null!;
    private int _activityCount;
    private int _orchestratorRuns;
    private int _running;

    /// <summary>What the HTTP handlers would use.</summary>
    public DurableSweepHost Host { get; private set; } = null!;

    public IArtifactStore Store => Host.Store;

    /// <summary>The same store, as the activities see it once they have a place.</summary>
    public WatchedStore Working { get; private set; } = null!;

    /// <summary>The models that there are: the demo model, <c>large</c>, <c>deep</c> and <c>broken</c>.</summary>
    public ModelCatalog Catalog { get; private set; } = null!;

    /// <summary>What callbacks are signed with.</summary>
    public const string CallbackSecret = "a secret of the tests";

    /// <summary>The callbacks that are to be sent.</summary>
    public CallbackDeliveries Callbacks { get; private set; } = null!;

    /// <summary>The host's clock.</summary>
    public ShiftedTime Time { get; } = new();

    /// <summary>How often a model was loaded.</summary>
    public int ModelLoads => _models.Loads;

    /// <summary>How many activities were begun.</summary>
    public int Activities => Volatile.Read(ref _activityCount);

    /// <summary>What the durable engine can be told past the host.</summary>
    public DurableTaskClient Client => _durable.Client;

    /// <summary>Every orchestration whose history is kept.</summary>
    public async Task<IReadOnlyList<OrchestrationMetadata>> OrchestrationsAsync() =>
        await Client.GetAllInstancesAsync(new OrchestrationQuery()).ToListAsync();

    /// <summary>How often the orchestrator was run, from its history or on.</summary>
    public int OrchestratorRuns => _orchestratorRuns;

    /// <summary>How many activities are running.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Is asked before each activity; what it throws, the activity throws.</summary>
    public Action<string, ActivityInput> Before { get; set; } = (_, _) => { };

    /// <summary>Is waited for before each activity.</summary>
    public Func<string, Task> Hold { get; set; } = _ => Task.CompletedTask;

    /// <param name="activitiesAtOnce">How many activities may run at once; null: as many as there are cores.</param>
    /// <param name="slots">How many of them have a place, as <see cref="AppSettings.ActivitiesAtOnce"/> says; null: all.</param>
    /// <param name="callbackHosts">Hosts that callbacks may go to; null: none.</param>
    public static async Task<DurableSweeps> StartAsync(int? activitiesAtOnce = null, int? slots = null, IReadOnlyList<string>? callbackHosts = null)
    {
        var sweeps = new DurableSweeps();
        string models = sweeps._folder["models"];
        RandomModelFolder.Write(Path.Combine(models, "large"), layers: 4, heads: 8, width: 256, vocabulary: 300, context: 64, seed: 3);
        RandomModelFolder.Write(Path.Combine(models, "deep"), layers: 6, heads: 2, width: 16, vocabulary: 40, context: 40, seed: 3);
        WriteModelWithNaN(Path.Combine(models, "broken"));
        var store = new LocalArtifactStore(sweeps._folder["store"]);
        sweeps.Catalog = new ModelCatalog(models);
        sweeps._models = new LoadedModels(sweeps.Catalog, threads: 1); // the embedded engine has as many: sums in float32 depend on it
        var activities = new SweepActivities(
            store,
            new ActivityTable(sweeps.Working = new WatchedStore(store), sweeps.Catalog, sweeps._models, ReportFiles.All, TimeProvider.System),
            new FairSlots(slots ?? activitiesAtOnce ?? Environment.ProcessorCount, TimeProvider.System),
            sweeps.Callbacks = new CallbackDeliveries(
                store,
                CallbackSender.Create(CallbackHosts.Parse(callbackHosts ?? [], "hosts"), CallbackSecret, "secret", TimeProvider.System),
                sweeps.Time,
                NullLogger<CallbackDeliveries>.Instance));
        sweeps._durable = await InMemoryDurableHost.StartAsync(activitiesAtOnce ?? Environment.ProcessorCount, registry =>
        {
            registry.AddOrchestratorFunc<bool, SweepSummary>(SweepOrchestrator.Name, (context, _) =>
            {
                Interlocked.Increment(ref sweeps._orchestratorRuns);
                return SweepOrchestrator.RunAsync(context);
            });
            registry.AddOrchestratorFunc<PartsInput, WorkReport>(SweepOrchestrator.PartsName, (context, _) => SweepOrchestrator.RunPartsAsync(context)); // GetInput needs the type here, unlike in the app
            registry.AddOrchestratorFunc<ActivityInput, object?>(SweepOrchestrator.CallbackName, async (context, _) =>
            {
                await SweepOrchestrator.RunCallbackAsync(context);
                return null;
            });
            registry.AddActivityFunc<ActivityInput>(SweepOrchestrator.SendCallbackName, (_, input) => activities.SendCallbackAsync(input, CancellationToken.None));
            Add(ActivityNames.PlanSweep, activities.PlanAsync);
            Add(ActivityNames.CacheActivations, activities.CacheAsync);
            Add(ActivityNames.SumActivations, activities.SumAsync);
            Add(ActivityNames.EstimateEffects, activities.EstimateAsync);
            Add(ActivityNames.ScreenHeads, activities.ScreenAsync);
            Add(ActivityNames.PatchHeads, activities.PatchAsync);
            Add(ActivityNames.DecideHeads, activities.DecideAsync);
            Add(ActivityNames.PatchDrawn, activities.PatchDrawnAsync);
            Add(ActivityNames.PlanRound, activities.PlanRoundAsync);
            Add(ActivityNames.PatchSets, activities.PatchSetsAsync);
            Add(ActivityNames.AttributeLogits, activities.AttributeAsync);
            Add(ActivityNames.ReadPatterns, activities.PatternsAsync);
            Add(ActivityNames.AssembleSweep, activities.AssembleAsync);

            void Add<T>(string name, Func<ActivityInput, CancellationToken, Task<Served<T>>> run) =>
                registry.AddActivityFunc<ActivityInput, Served<T>>(name, async (_, input) =>
                {
                    Interlocked.Increment(ref sweeps._activityCount);
                    Interlocked.Increment(ref sweeps._running);
                    try
                    {
                        await sweeps.Hold(name);
                        sweeps.Before(name, input);
                        return await run(input, CancellationToken.None);
                    }
                    finally
                    {
                        Interlocked.Decrement(ref sweeps._running);
                    }
                });
        });
        sweeps.Host = new DurableSweepHost(sweeps._durable.Client, store, new SweepList(store, TimeProvider.System), sweeps.Time);
        return sweeps;
    }

    /// <summary>A small model, of whose file the last number, one of wte.weight's, is none.</summary>
    private static void WriteModelWithNaN(string folder)
    {
        RandomModelFolder.Write(folder, layers: 1, heads: 2, width: 16, vocabulary: 20, context: 8, seed: 3);
        using FileStream stream = File.Open(Path.Combine(folder, "model.safetensors"), FileMode.Open);
        stream.Seek(-sizeof(float), SeekOrigin.End);
        stream.Write(BitConverter.GetBytes(float.NaN));
    }

    /// <summary>Waits until a sweep has ended.</summary>
    public async Task<SweepStatus> EndAsync(string id)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (true)
        {
            SweepStatus status = (await Host.FindAsync(id))!;
            if (status.HasEnded)
            {
                return status;
            }

            await Task.Delay(50, patience.Token);
        }
    }

    /// <summary>The system's clock, put forward.</summary>
    internal sealed class ShiftedTime : TimeProvider
    {
        public TimeSpan By { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + By;
    }

    public async ValueTask DisposeAsync()
    {
        await _durable.DisposeAsync();
        _models.Dispose();
        _folder.Dispose();
    }
}
