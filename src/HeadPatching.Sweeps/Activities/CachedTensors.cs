using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Cached activations as safetensors: what stands where in the artifacts of a chunk.</summary>
internal static class CachedTensors
{
    public static void Write(Stream to, LayerActivations activations) => SafetensorsWriter.Write(
        to,
        [
            .. activations.Clean.Named().Select(named => ("clean." + named.Name, named.Tensor)),
            .. activations.Corrupted.Named().Select(named => ("corrupted." + named.Name, named.Tensor)),
        ]);

    public static void Write(Stream to, FinalResiduals final) =>
        SafetensorsWriter.Write(to, [("clean.resid_post", final.Clean), ("corrupted.resid_post", final.Corrupted)]);

    /// <summary>Opens an artifact, and reads tensors of it in one synchronous piece.</summary>
    public static async Task<T> ReadAsync<T>(
        IArtifactStore store, LoadedModels.Lease lease, string artifact, Func<Stream, string, Transformer, T> tensors, CancellationToken cancellationToken)
    {
        Stream stream = await store.RequireReadAsync(artifact, cancellationToken);
        return lease.Use(model => tensors(stream, artifact, model));
    }

    public static LayerActivations ReadLayer(Stream from, string name, Transformer model) =>
        Read(from, name, model, tensor => new LayerActivations(Run(tensor, "clean"), Run(tensor, "corrupted")));

    public static HeadActivations ReadRun(Stream from, string name, string run, Transformer model) =>
        Read(from, name, model, tensor => Run(tensor, run));

    public static KeysValues ReadKeysValues(Stream from, string name, string run, Transformer model) =>
        Read(from, name, model, tensor => new KeysValues(tensor($"{run}.k"), tensor($"{run}.v")));

    public static Tensor ReadZ(Stream from, string name, string run, Transformer model) => Read(from, name, model, tensor => tensor($"{run}.z"));

    public static FinalResiduals ReadFinal(Stream from, string name, Transformer model) =>
        Read(from, name, model, tensor => new FinalResiduals(tensor("clean.resid_post"), tensor("corrupted.resid_post")));

    private static HeadActivations Run(Func<string, Tensor> tensor, string run) =>
        new(tensor($"{run}.resid_pre"), tensor($"{run}.q"), tensor($"{run}.k"), tensor($"{run}.v"), tensor($"{run}.z"));

    /// <summary>Reads tensors of an artifact. Where the store fails midway, those that were read are freed with the scope.</summary>
    private static T Read<T>(Stream from, string name, Transformer model, Func<Func<string, Tensor>, T> read)
    {
        using SafetensorsFile file = SafetensorsFile.Open(from, name);
        using var scope = NewDisposeScope();
        var tensors = new List<Tensor>();
        T whole = read(tensor =>
        {
            tensors.Add(file.Read(tensor, model.Dtype, model.Device));
            return tensors[^1];
        });
        tensors.ForEach(tensor => tensor.DetachFromDisposeScope());
        return whole;
    }
}
