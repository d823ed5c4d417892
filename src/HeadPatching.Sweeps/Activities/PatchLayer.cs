using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Patches every head of one layer over one chunk; writes the layer's result.</summary>
public sealed class PatchLayer
{
    private readonly IArtifactStore _store;
    private readonly LoadedModels _models;

    /// <summary>Makes the activity.</summary>
    public PatchLayer(IArtifactStore store, LoadedModels models)
    {
        _store = store;
        _models = models;
    }

    /// <summary>Patches the layer, unless its result is there.</summary>
    /// <param name="input">The sweep, chunk and layer.</param>
    /// <param name="progress">Told after each batch of heads how many patched runs it made.</param>
    /// <param name="cancellationToken">Looked at before each batch of heads.</param>
    /// <exception cref="OperationCanceledException">It was cancelled: nothing of the layer is written.</exception>
    public async Task<LayerReport> RunAsync(ActivityInput input, Action<long>? progress = null, CancellationToken cancellationToken = default)
    {
        string name = SweepArtifacts.Layer(input.SweepId, input.Layer, input.Chunk);
        if (await _store.ExistsAsync(name, cancellationToken))
        {
            return new LayerReport(input.Layer, input.Chunk, Reused: true, PatchedRuns: 0);
        }

        var plan = await _store.RequireJsonAsync<SweepPlan>(SweepArtifacts.Plan(input.SweepId), cancellationToken);
        string folder = plan.Chunks[input.Chunk].Activations;
        IMetric metric = MetricFor.Metric(plan.Request.Metric);
        var baselines = await _store.RequireJsonAsync<ChunkBaselines>(SweepArtifacts.Baselines(folder, metric.Name), cancellationToken);
        using var lease = await _models.LendAsync(plan.Source, cancellationToken);
        using GpuTurn turn = await GpuTurn.TakeAsync(plan.Source, cancellationToken);
        int start = plan.StartOf(input.Chunk);
        PathOptions? paths = plan.Request.PathOptions();
        IReadOnlyList<CachedTensor> needed = lease.Use(model => paths is null
            ? NeededTensors.OfBand(model.Config, plan.PatchOptions(), input.Layer, input.Layer, start)
            : NeededTensors.OfPaths(model.Config, paths, input.Layer, input.Layer, start));
        using FinalResiduals final = await CachedTensors.ReadAsync(_store, lease, SweepArtifacts.Final(folder), CachedTensors.ReadFinal, cancellationToken);
        using ChunkActivations activations = await CachedTensors.ReadAsync(_store, lease, folder, start, needed, cancellationToken);
        using Tensor? ablatedZ = plan.Request.Ablation is null
            ? null
            : await AblatedZ.OfAsync(_store, plan, input, lease, activations.Layers[input.Layer].Base(plan.Request.RunPatched()).Z!, cancellationToken);
        var inputs = new BandInputs
        {
            First = input.Layer,
            Last = input.Layer,
            Measured = new MeasuredPairs(plan.PairsOf(input.Chunk), final.Clean),
            Baselines = baselines.Baselines,
            Activations = activations,
            AblatedZ = ablatedZ is null ? null : new Dictionary<int, Tensor> { [input.Layer] = ablatedZ },
            OnlyHeads = await OnlyHeadsAsync(),
        };
        LayerPatches patches = lease.Use(model => paths is null
            ? new BandPatcher(model, metric, SweepPlanner.Budget(plan.Request)).Patch(inputs, plan.PatchOptions(), progress, cancellationToken)
            : new PathPatcher(model, metric, SweepPlanner.Budget(plan.Request)).Patch(inputs, paths, progress, cancellationToken))[0];
        await _store.WriteJsonIfAbsentAsync(name, patches, cancellationToken);
        return new LayerReport(input.Layer, input.Chunk, Reused: false, patches.PatchedRuns);

        async Task<IReadOnlyDictionary<int, IReadOnlyList<int>>?> OnlyHeadsAsync() => plan.Request.Method == Method.Screen
            ? (await _store.RequireJsonAsync<ScreenedHeads>(SweepArtifacts.Screen(input.SweepId), cancellationToken)).ByLayer
                .ToDictionary(layer => layer.Key, layer => (IReadOnlyList<int>)layer.Value)
            : null;
    }
}
