using HeadPatching.Functions.Orchestration;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;
using Microsoft.DurableTask.Testing;

namespace HeadPatching.Functions.Tests;

/// <summary>The durable engine in this process, with the app's own orchestrator, activities and host on a store of its own.</summary>
internal sealed class DurableSweeps : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private LoadedModels _models = null!;
    private DurableTaskTestHost _durable = null!;
    private int _orchestratorRuns;
    private int _running;

    /// <summary>What the HTTP handlers would use.</summary>
    public DurableSweepHost Host { get; private set; } = null!;

    public IArtifactStore Store => Host.Store;

    /// <summary>How often the orchestrator was run, from its history or on.</summary>
    public int OrchestratorRuns => _orchestratorRuns;

    /// <summary>How many activities are running.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Is asked before each activity; what it throws, the activity throws.</summary>
    public Action<string, ActivityInput> Before { get; set; } = (_, _) => { };

    public static async Task<DurableSweeps> StartAsync()
    {
        var sweeps = new DurableSweeps();
        string models = sweeps._folder["models"];
        RandomModelFolder.Write(Path.Combine(models, "large"), layers: 4, heads: 8, width: 256, vocabulary: 300, context: 64, seed: 3);
        WriteModelWithNaN(Path.Combine(models, "broken"));
        var store = new LocalArtifactStore(sweeps._folder["store"]);
        var catalog = new ModelCatalog(models);
        sweeps._models = new LoadedModels(catalog, threads: 1); // the embedded engine has as many: sums in float32 depend on it
        var activities = new SweepActivities(
            store,
            new ActivityTable(store, catalog, sweeps._models, ReportFiles.All, TimeProvider.System));
        sweeps._durable = await DurableTaskTestHost.StartAsync(registry =>
        {
            registry.AddOrchestratorFunc(SweepOrchestrator.Name, context =>
            {
                Interlocked.Increment(ref sweeps._orchestratorRuns);
                return SweepOrchestrator.RunAsync(context);
            });
            registry.AddOrchestratorFunc(SweepOrchestrator.PartsName, context => SweepOrchestrator.RunPartsAsync(context));
            Add(ActivityNames.PlanSweep, activities.PlanAsync);
            Add(ActivityNames.CacheActivations, activities.CacheAsync);
            Add(ActivityNames.SumActivations, activities.SumAsync);
            Add(ActivityNames.EstimateEffects, activities.EstimateAsync);
            Add(ActivityNames.ScreenHeads, activities.ScreenAsync);
            Add(ActivityNames.PatchHeads, activities.PatchAsync);
            Add(ActivityNames.AssembleSweep, activities.AssembleAsync);

            void Add<T>(string name, Func<ActivityInput, CancellationToken, Task<T>> run) =>
                registry.AddActivityFunc<ActivityInput, T>(name, async (_, input) =>
                {
                    Interlocked.Increment(ref sweeps._running);
                    try
                    {
                        sweeps.Before(name, input);
                        return await run(input, CancellationToken.None);
                    }
                    finally
                    {
                        Interlocked.Decrement(ref sweeps._running);
                    }
                });
        });
        sweeps.Host = new DurableSweepHost(sweeps._durable.Client, store, TimeProvider.System);
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

    public async ValueTask DisposeAsync()
    {
        await _durable.DisposeAsync();
        _models.Dispose();
        _folder.Dispose();
    }
}
