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

    public static LayerActivations ReadLayer(Stream from, string name, Transformer model)
    {
        using SafetensorsFile file = SafetensorsFile.Open(from, name);
        return new LayerActivations(Run(file, "clean", model), Run(file, "corrupted", model));
    }

    public static HeadActivations ReadRun(Stream from, string name, string run, Transformer model)
    {
        using SafetensorsFile file = SafetensorsFile.Open(from, name);
        return Run(file, run, model);
    }

    public static KeysValues ReadKeysValues(Stream from, string name, string run, Transformer model)
    {
        using SafetensorsFile file = SafetensorsFile.Open(from, name);
        return new KeysValues(file.Read($"{run}.k", model.Dtype, model.Device), file.Read($"{run}.v", model.Dtype, model.Device));
    }

    public static Tensor ReadZ(Stream from, string name, string run, Transformer model)
    {
        using SafetensorsFile file = SafetensorsFile.Open(from, name);
        return file.Read($"{run}.z", model.Dtype, model.Device);
    }

    public static FinalResiduals ReadFinal(Stream from, string name, Transformer model)
    {
        using SafetensorsFile file = SafetensorsFile.Open(from, name);
        return new FinalResiduals(
            file.Read("clean.resid_post", model.Dtype, model.Device), file.Read("corrupted.resid_post", model.Dtype, model.Device));
    }

    private static HeadActivations Run(SafetensorsFile file, string run, Transformer model)
    {
        return new HeadActivations(Read("resid_pre"), Read("q"), Read("k"), Read("v"), Read("z"));

        Tensor Read(string tensor) => file.Read($"{run}.{tensor}", model.Dtype, model.Device);
    }
}
