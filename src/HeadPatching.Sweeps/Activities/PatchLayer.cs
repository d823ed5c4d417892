using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;
using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Patches every head of one layer over one chunk; writes the layer's result.</summary>
public sealed class PatchLayer
{
    // A batch is sized for the whole GPU, so activities of one process take turns on it.
    private static readonly SemaphoreSlim GpuTurn = new(1);

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
        bool onGpu = torch.device(plan.Source.Device).type == DeviceType.CUDA;
        if (onGpu)
        {
            await GpuTurn.WaitAsync(cancellationToken);
        }

        string run = plan.Request.RunPatched() == Direction.Denoise ? "corrupted" : "clean"; // the run that is patched
        var read = new List<IDisposable>();
        try
        {
            LayerActivations own = await ReadAsync(SweepArtifacts.Activations(folder, input.Layer), CachedTensors.ReadLayer);
            FinalResiduals final = await ReadAsync(SweepArtifacts.Final(folder), CachedTensors.ReadFinal);
            var later = new List<KeysValues>();
            for (int layer = input.Layer + 1; layer < plan.Model.Layers; layer++)
            {
                later.Add(await ReadAsync(
                    SweepArtifacts.Activations(folder, layer), (stream, artifact, model) => CachedTensors.ReadKeysValues(stream, artifact, run, model)));
            }

            var inputs = new LayerInputs
            {
                Layer = input.Layer,
                Measured = new MeasuredPairs(plan.PairsOf(input.Chunk), final.Clean),
                Baselines = baselines.Baselines,
                Activations = own,
                Later = later,
                AblatedZ = await AblatedZAsync(),
            };
            LayerPatches patches = lease.Use(model =>
                new LayerPatcher(model, metric, SweepPlanner.Budget(plan.Request)).Patch(inputs, plan.Request.PatchOptions(), progress, cancellationToken));
            await _store.WriteJsonIfAbsentAsync(name, patches, cancellationToken);
            return new LayerReport(input.Layer, input.Chunk, Reused: false, patches.PatchedRuns);
        }
        finally
        {
            read.ForEach(tensors => tensors.Dispose());
            if (onGpu)
            {
                GpuTurn.Release();
            }
        }

        async Task<Tensor?> AblatedZAsync()
        {
            var ablatedZ = new AblatedZ(_store, plan, run, input, lease);
            Tensor? z = plan.Request.Ablation switch
            {
                Ablation.Mean => await ablatedZ.MeanAsync(cancellationToken),
                Ablation.Resample => await ablatedZ.ResampledAsync(cancellationToken),
                _ => null,
            };
            if (z is not null)
            {
                read.Add(z);
            }

            return z;
        }

        async Task<T> ReadAsync<T>(string artifact, Func<Stream, string, Transformer, T> tensors)
            where T : IDisposable
        {
            Stream stream = await _store.RequireReadAsync(artifact, cancellationToken);
            T own = lease.Use(model => tensors(stream, artifact, model));
            read.Add(own);
            return own;
        }
    }
}
