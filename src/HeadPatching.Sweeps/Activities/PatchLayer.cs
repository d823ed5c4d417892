using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;
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
        var baselines = await _store.RequireJsonAsync<ChunkBaselines>(SweepArtifacts.Baselines(folder), cancellationToken);
        using var lease = await _models.LendAsync(plan.Source, cancellationToken);
        Device target = device(plan.Source.Device);
        bool onGpu = target.type == TorchSharp.DeviceType.CUDA;
        if (onGpu)
        {
            await GpuTurn.WaitAsync(cancellationToken);
        }

        LayerActivations? own = null;
        var later = new List<KeysValues>();
        try
        {
            using (SafetensorsFile file = await OpenAsync(input.Layer))
            {
                own = new LayerActivations(Read(file, "clean"), Read(file, "corrupted"));
            }

            string run = plan.Request.Direction == Direction.Denoise ? "corrupted" : "clean"; // the run that is patched
            for (int layer = input.Layer + 1; layer < plan.Model.Layers; layer++)
            {
                using SafetensorsFile file = await OpenAsync(layer);
                later.Add(new KeysValues(Tensor(file, $"{run}.k"), Tensor(file, $"{run}.v")));
            }

            LayerPatches patches = lease.Use(model => Patch(model, own));
            await _store.WriteJsonIfAbsentAsync(name, patches, cancellationToken);
            return new LayerReport(input.Layer, input.Chunk, Reused: false, patches.PatchedRuns);
        }
        finally
        {
            own?.Dispose();
            later.ForEach(keysValues => keysValues.Dispose());
            if (onGpu)
            {
                GpuTurn.Release();
            }
        }

        // Synchronous: no tensor work crosses an await.
        LayerPatches Patch(Transformer model, LayerActivations activations)
        {
            IReadOnlyList<TokenPair> pairs = plan.PairsOf(input.Chunk);
            var patcher = new LayerPatcher(model, new LogitDifference(), SweepPlanner.Budget(plan.Request));
            return patcher.Patch(
                input.Layer, pairs, baselines.Baselines, activations, later, plan.Request.PatchOptions(), progress, cancellationToken);
        }

        async Task<SafetensorsFile> OpenAsync(int layer)
        {
            string artifact = SweepArtifacts.Activations(folder, layer);
            return SafetensorsFile.Open(await _store.RequireReadAsync(artifact, cancellationToken), artifact);
        }

        HeadActivations Read(SafetensorsFile file, string run) => new(
            Tensor(file, $"{run}.resid_mid"), Tensor(file, $"{run}.q"), Tensor(file, $"{run}.k"), Tensor(file, $"{run}.v"), Tensor(file, $"{run}.z"));

        Tensor Tensor(SafetensorsFile file, string tensor) => file.Read(tensor, Dtypes.Parse(plan.Source.Dtype), target);
    }
}
