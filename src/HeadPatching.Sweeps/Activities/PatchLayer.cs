using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
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
        string run = plan.Request.RunPatched() == Direction.Denoise ? "corrupted" : "clean"; // the run that is patched
        var read = new List<IDisposable>();
        try
        {
            FinalResiduals final = await ReadAsync(SweepArtifacts.Final(folder), CachedTensors.ReadFinal);
            var measured = new MeasuredPairs(plan.PairsOf(input.Chunk), final.Clean);
            LayerPatches patches = plan.Request.PathOptions() is PathOptions paths ? await PathsAsync(measured, paths) : await HeadsAsync(measured);
            await _store.WriteJsonIfAbsentAsync(name, patches, cancellationToken);
            return new LayerReport(input.Layer, input.Chunk, Reused: false, patches.PatchedRuns);
        }
        finally
        {
            read.ForEach(tensors => tensors.Dispose());
        }

        async Task<LayerPatches> HeadsAsync(MeasuredPairs measured)
        {
            LayerActivations own = await ReadAsync(SweepArtifacts.Activations(folder, input.Layer), CachedTensors.ReadLayer);
            var later = new List<KeysValues>();
            for (int layer = input.Layer + 1; layer < plan.Model.Layers; layer++)
            {
                later.Add(await ReadAsync(
                    SweepArtifacts.Activations(folder, layer), (stream, artifact, model) => CachedTensors.ReadKeysValues(stream, artifact, run, model)));
            }

            var inputs = new LayerInputs
            {
                Layer = input.Layer,
                Measured = measured,
                Baselines = baselines.Baselines,
                Activations = own,
                Later = later,
                AblatedZ = await AblatedZAsync(own.Base(plan.Request.RunPatched()).Z),
                OnlyHeads = await OnlyHeadsAsync(),
            };
            return lease.Use(model =>
                new LayerPatcher(model, metric, SweepPlanner.Budget(plan.Request)).Patch(inputs, plan.PatchOptions(), progress, cancellationToken));
        }

        // The paths from the layer's heads: the layer itself and all after it, as they are in the run that is patched.
        async Task<LayerPatches> PathsAsync(MeasuredPairs measured, PathOptions paths)
        {
            LayerActivations own = await ReadAsync(SweepArtifacts.Activations(folder, input.Layer), CachedTensors.ReadLayer);
            var layers = new List<HeadActivations> { own.Base(paths.Direction) };
            for (int layer = input.Layer + 1; layer < plan.Model.Layers && paths.Reaches(input.Layer); layer++)
            {
                layers.Add(await ReadAsync(
                    SweepArtifacts.Activations(folder, layer), (stream, artifact, model) => CachedTensors.ReadRun(stream, artifact, run, model)));
            }

            return lease.Use(model => new PathPatcher(model, metric, SweepPlanner.Budget(plan.Request)).Patch(
                input.Layer, measured, baselines.Baselines, own.Source(paths.Direction).Z, layers, paths, progress, cancellationToken));
        }

        async Task<IReadOnlyList<int>?> OnlyHeadsAsync() => plan.Request.Method == Method.Screen
            ? (await _store.RequireJsonAsync<ScreenedHeads>(SweepArtifacts.Screen(input.SweepId), cancellationToken)).ByLayer[input.Layer]
            : null;

        async Task<Tensor?> AblatedZAsync(Tensor own)
        {
            Tensor? z = await AblatedZ.OfAsync(_store, plan, input, lease, own, cancellationToken);
            if (z is not null)
            {
                read.Add(z);
            }

            return z;
        }

        async Task<T> ReadAsync<T>(string artifact, Func<Stream, string, Transformer, T> tensors)
            where T : IDisposable
        {
            T own = await CachedTensors.ReadAsync(_store, lease, artifact, tensors, cancellationToken);
            read.Add(own);
            return own;
        }
    }
}
