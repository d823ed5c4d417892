using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities.Artifacts;

/// <summary>The clean and corrupted runs over a chunk, in memory.</summary>
/// <param name="Layers">By layer; null where a layer was not read.</param>
/// <param name="Final">Where both runs end.</param>
internal sealed record ChunkActivations(IReadOnlyList<LayerActivations?> Layers, FinalResiduals Final) : IDisposable
{
    public void Dispose()
    {
        foreach (LayerActivations? layer in Layers)
        {
            layer?.Dispose();
        }

        Final.Dispose();
    }
}

/// <summary>The activations of a chunk in the store, all of them one artifact.</summary>
internal static class ActivationArtifact
{
    /// <summary>Writes the runs over a chunk.</summary>
    public static Task WriteAsync(
        IArtifactStore store, LoadedModels.Lease lease, string key, ChunkActivations activations, Traffic traffic, CancellationToken cancellationToken) =>
        TensorFile.WriteAsync(store, lease, SweepArtifacts.Activations(key), Named(activations), traffic, cancellationToken);

    /// <summary>Reads the runs over a chunk from a layer on; null where they are not there whole.</summary>
    public static Task<ChunkActivations?> ReadAsync(
        IArtifactStore store, LoadedModels.Lease lease, string key, int firstLayer, Traffic traffic, CancellationToken cancellationToken) =>
        TensorFile.ReadAsync(
            store, lease, SweepArtifacts.Activations(key), (model, tensor) => Of(tensor, model.Config.Layers, firstLayer), toDevice: true, traffic, cancellationToken);

    private static IReadOnlyList<(string Name, Tensor Tensor)> Named(ChunkActivations activations)
    {
        return [.. activations.Layers.SelectMany((layer, index) => OfLayer(layer!, index)), ("clean.final", activations.Final.Clean), ("corrupted.final", activations.Final.Corrupted)];

        static IEnumerable<(string, Tensor)> OfLayer(LayerActivations layer, int index) =>
        [
            .. layer.Clean.Named().Select(named => ($"clean.{index}.{named.Name}", named.Tensor)),
            .. layer.Corrupted.Named().Select(named => ($"corrupted.{index}.{named.Name}", named.Tensor)),
        ];
    }

    private static ChunkActivations Of(Func<string, Tensor> tensor, int layers, int firstLayer)
    {
        return new ChunkActivations(
            [.. Enumerable.Range(0, layers).Select(layer => layer < firstLayer ? null : new LayerActivations(Run("clean", layer), Run("corrupted", layer)))],
            new FinalResiduals(tensor("clean.final"), tensor("corrupted.final")));

        HeadActivations Run(string run, int layer) =>
            new(tensor($"{run}.{layer}.resid_pre"), tensor($"{run}.{layer}.q"), tensor($"{run}.{layer}.k"), tensor($"{run}.{layer}.v"), tensor($"{run}.{layer}.z"));
    }
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
