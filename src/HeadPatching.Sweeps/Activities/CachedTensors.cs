using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Cached activations as safetensors: one artifact a layer, of the tensors that <see cref="CachedTensor"/> names.</summary>
internal static class CachedTensors
{
    public static void Write(Stream to, int layer, LayerActivations activations) => SafetensorsWriter.Write(
        to, [.. activations.Tensors().Select(one => (new CachedTensor(layer, one.Part).Name, one.Tensor))]);

    public static void Write(Stream to, FinalResiduals final) =>
        SafetensorsWriter.Write(to, [("clean.resid_post", final.Clean), ("corrupted.resid_post", final.Corrupted)]);

    /// <summary>Opens an artifact, and reads tensors of it in one synchronous piece.</summary>
    public static async Task<T> ReadAsync<T>(
        IArtifactStore store, LoadedModels.Lease lease, string artifact, Func<Stream, string, Transformer, T> tensors, CancellationToken cancellationToken)
    {
        Stream stream = await store.RequireReadAsync(artifact, cancellationToken);
        return lease.Use(model => tensors(stream, artifact, model));
    }

    /// <summary>Reads some of a chunk's activations; the caller disposes of them.</summary>
    public static async Task<ChunkActivations> ReadAsync(
        IArtifactStore store, LoadedModels.Lease lease, string folder, int start, IReadOnlyList<CachedTensor> needed, CancellationToken cancellationToken)
    {
        var layers = new Dictionary<int, LayerActivations>();
        var activations = new ChunkActivations(start, layers);
        try
        {
            foreach (var layer in needed.GroupBy(tensor => tensor.Layer))
            {
                layers[layer.Key] = await ReadAsync(
                    store,
                    lease,
                    SweepArtifacts.Activations(folder, layer.Key),
                    (stream, artifact, model) =>
                    {
                        using SafetensorsFile file = SafetensorsFile.Open(stream, artifact);
                        return ChunkActivations.Read(start, layer, tensor => file.Read(tensor.Name, model.Dtype, model.Device)).Layers[layer.Key];
                    },
                    cancellationToken);
            }

            return activations;
        }
        catch
        {
            activations.Dispose();
            throw;
        }
    }

    public static FinalResiduals ReadFinal(Stream from, string name, Transformer model)
    {
        using SafetensorsFile file = SafetensorsFile.Open(from, name);
        return new FinalResiduals(
            file.Read("clean.resid_post", model.Dtype, model.Device), file.Read("corrupted.resid_post", model.Dtype, model.Device));
    }
}
