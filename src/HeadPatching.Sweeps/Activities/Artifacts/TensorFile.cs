using System.Globalization;
using System.IO.Hashing;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities.Artifacts;

/// <summary>
/// Tensors in the store as one safetensors file, the XXH3 of each in its metadata, so that some can be read alone. Written without waiting for the
/// disk: what fails its checksum is not there.
/// </summary>
internal static class TensorFile
{
    /// <summary>Writes tensors.</summary>
    public static Task WriteAsync(
        IArtifactStore store,
        LoadedModels.Lease lease,
        string name,
        IReadOnlyList<(string Name, Tensor Tensor)> tensors,
        Traffic traffic,
        CancellationToken cancellationToken) =>
        store.WriteDerivedAsync(
            name,
            (to, _) =>
            {
                traffic.BytesWritten += lease.Use(_ => Write(to, tensors));
                return Task.CompletedTask;
            },
            cancellationToken);

    /// <summary>Reads tensors; null where not all that are asked for are there whole.</summary>
    /// <param name="store">The store.</param>
    /// <param name="lease">The model.</param>
    /// <param name="name">The artifact.</param>
    /// <param name="read">Asks for tensors by name and puts them together.</param>
    /// <param name="toDevice">Whether they go to the model's device; otherwise they stay on the CPU.</param>
    /// <param name="traffic">Told how much was read.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task<T?> ReadAsync<T>(
        IArtifactStore store, LoadedModels.Lease lease, string name, Func<Transformer, Func<string, Tensor>, T> read, bool toDevice, Traffic traffic, CancellationToken cancellationToken)
        where T : class
    {
        Stream? stream = await store.OpenReadAsync(name, cancellationToken);
        return stream is null ? null : lease.Use(model => Read(stream, name, model, read, toDevice, traffic));
    }

    private static long Write(Stream to, IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        (string Name, Tensor Tensor)[] here = [.. tensors.Select(named => (named.Name, named.Tensor.cpu().contiguous()))];
        SafetensorsWriter.Write(to, here, here.ToDictionary(named => named.Name, named => Checksum(named.Tensor)));
        return here.Sum(named => named.Tensor.NumberOfElements * named.Tensor.ElementSize);
    }

    private static T? Read<T>(Stream from, string name, Transformer model, Func<Transformer, Func<string, Tensor>, T> read, bool toDevice, Traffic traffic)
        where T : class
    {
        try
        {
            using SafetensorsFile file = SafetensorsFile.Open(from, name);
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            var tensors = new List<Tensor>();
            T whole = read(model, One);
            tensors.ForEach(tensor => tensor.DetachFromDisposeScope());
            return whole;

            Tensor One(string tensor)
            {
                Tensor stored = file.Read(tensor);
                if (!file.Metadata.TryGetValue(tensor, out string? checksum) || checksum != Checksum(stored))
                {
                    throw new InvalidInputException(FaultKinds.Malformed, name, $"{tensor} is damaged.");
                }

                traffic.BytesRead += stored.NumberOfElements * stored.ElementSize;
                tensors.Add(toDevice ? stored.to(model.Device) : stored);
                return tensors[^1];
            }
        }
        catch (InvalidInputException)
        {
            return null; // torn: it is made again
        }
    }

    private static string Checksum(Tensor tensor) => XxHash3.HashToUInt64(tensor.bytes).ToString("x16", CultureInfo.InvariantCulture);
}
