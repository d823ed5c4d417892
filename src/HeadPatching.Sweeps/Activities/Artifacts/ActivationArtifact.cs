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
    public static async Task<CachedChunk?> ReadAsync(
        IArtifactStore store,
        LoadedModels.Lease lease,
        PlannedChunk chunk,
        IReadOnlyList<CachedTensor> needed,
        TensorCache? cache,
        Traffic traffic,
        CancellationToken cancellationToken)
    {
        string[] names = [.. needed.Select(one => one.Name), CleanFinal, CorruptedFinal];
        return await TensorFile.ReadAsync(store, lease, SweepArtifacts.Activations(chunk.Activations), names, toDevice: true, cache, traffic, cancellationToken) is { } read
            ? new CachedChunk(ChunkActivations.Read(chunk.Start, needed, one => read[one.Name]), new FinalResiduals(read[CleanFinal], read[CorruptedFinal]))
            : null;
    }

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
    public static async Task<IReadOnlyList<Tensor>?> ReadAsync(IArtifactStore store, LoadedModels.Lease lease, string key, Traffic traffic, CancellationToken cancellationToken)
    {
        string[] names = [.. Enumerable.Range(0, lease.Use(model => model.Config.Layers)).Select(Name)];
        return await TensorFile.ReadAsync(store, lease, SweepArtifacts.Sums(key), names, toDevice: false, cache: null, traffic, cancellationToken) is { } read
            ? [.. names.Select(name => read[name])]
            : null;
    }

    private static string Name(int layer) => $"sums.{layer}";
}
