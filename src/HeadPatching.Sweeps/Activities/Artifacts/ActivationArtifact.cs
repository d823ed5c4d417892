using HeadPatching.Core.Patching.Caching;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities.Artifacts;

/// <summary>The clean and corrupted runs over a chunk, in memory, as far as they were read.</summary>
/// <param name="Activations">Their activations.</param>
/// <param name="Final">Where both runs end.</param>
internal sealed record CachedChunk(ChunkActivations Activations, FinalResiduals Final) : IDisposable
{
    public void Dispose()
    {
        Activations.Dispose();
        Final.Dispose();
    }
}

/// <summary>The activations of a chunk in the store, all of them one artifact: the tensors that <see cref="CachedTensor"/> names, and where both runs end.</summary>
internal static class ActivationArtifact
{
    private const string CleanFinal = "clean.resid_post", CorruptedFinal = "corrupted.resid_post";

    /// <summary>Writes the runs over a chunk.</summary>
    public static Task WriteAsync(
        IArtifactStore store, LoadedModels.Lease lease, PlannedChunk chunk, CachedChunk cached, Traffic traffic, CancellationToken cancellationToken) =>
        TensorFile.WriteAsync(store, lease, SweepArtifacts.Activations(chunk.Activations), Named(cached), traffic, cancellationToken);

    /// <summary>Reads what is needed of the runs over a chunk; null where it is not there whole.</summary>
    public static Task<CachedChunk?> ReadAsync(
        IArtifactStore store, LoadedModels.Lease lease, PlannedChunk chunk, IReadOnlyList<CachedTensor> needed, Traffic traffic, CancellationToken cancellationToken) =>
        TensorFile.ReadAsync(
            store,
            lease,
            SweepArtifacts.Activations(chunk.Activations),
            (_, tensor) => new CachedChunk(
                ChunkActivations.Read(chunk.Start, needed, one => tensor(one.Name)), new FinalResiduals(tensor(CleanFinal), tensor(CorruptedFinal))),
            toDevice: true,
            traffic,
            cancellationToken);

    private static IReadOnlyList<(string Name, Tensor Tensor)> Named(CachedChunk cached) =>
    [
        .. cached.Activations.Layers.SelectMany(layer => layer.Value.Tensors().Select(one => (new CachedTensor(layer.Key, one.Part).Name, one.Tensor))),
        (CleanFinal, cached.Final.Clean),
        (CorruptedFinal, cached.Final.Corrupted),
    ];
}

/// <summary>The sums of z of all layers that means over all pairs are made of, float64, in the same form.</summary>
internal static class SumsArtifact
{
    /// <summary>Writes the sums, by layer.</summary>
    public static Task WriteAsync(
        IArtifactStore store, LoadedModels.Lease lease, string key, IReadOnlyList<Tensor> sums, Traffic traffic, CancellationToken cancellationToken) =>
        TensorFile.WriteAsync(store, lease, SweepArtifacts.Sums(key), [.. sums.Select((sum, layer) => (Name(layer), sum))], traffic, cancellationToken);

    /// <summary>Reads the sums, by layer; null where they are not there whole.</summary>
    public static Task<IReadOnlyList<Tensor>?> ReadAsync(IArtifactStore store, LoadedModels.Lease lease, string key, Traffic traffic, CancellationToken cancellationToken) =>
        TensorFile.ReadAsync<IReadOnlyList<Tensor>>(
            store, lease, SweepArtifacts.Sums(key), (model, tensor) => [.. Enumerable.Range(0, model.Config.Layers).Select(layer => tensor(Name(layer)))], toDevice: false, traffic, cancellationToken);

    private static string Name(int layer) => $"sums.{layer}";
}
