using System.Buffers;
using System.Globalization;
using System.IO.Hashing;
using HeadPatching.Core.Faults;
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
    /// <summary>A file of no more bytes than this is read whole: a store gives it in one request.</summary>
    private const long SmallFile = 4 << 20;

    /// <summary>Of larger ones only what is wanted, in pieces of so many bytes, so many of which are in memory at a time.</summary>
    private const int PieceBytes = 4 << 20, PiecesInMemory = 16;

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
    /// <param name="wanted">The tensors' names.</param>
    /// <param name="toDevice">Whether they go to the model's device; otherwise they stay on the CPU.</param>
    /// <param name="cache">What was read before; null where the store is as near.</param>
    /// <param name="traffic">Told how much was read.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>The tensors by name, in no dispose scope: the caller's.</returns>
    public static async Task<IReadOnlyDictionary<string, Tensor>?> ReadAsync(
        IArtifactStore store,
        LoadedModels.Lease lease,
        string name,
        IReadOnlyList<string> wanted,
        bool toDevice,
        TensorCache? cache,
        Traffic traffic,
        CancellationToken cancellationToken)
    {
        if (await store.OpenReadAsync(name, cancellationToken) is not Stream stream)
        {
            return null;
        }

        try
        {
            using SafetensorsFile file = SafetensorsFile.Open(stream, name);
            return wanted.All(tensor => file.Tensors.ContainsKey(tensor) && file.Metadata.ContainsKey(tensor))
                ? await ReadAsync(store, lease, file, wanted, toDevice, cache, traffic, cancellationToken)
                : null;
        }
        catch (InvalidInputException)
        {
            return null; // torn: it is made again
        }
    }

    private static async Task<IReadOnlyDictionary<string, Tensor>?> ReadAsync(
        IArtifactStore store,
        LoadedModels.Lease lease,
        SafetensorsFile file,
        IReadOnlyList<string> wanted,
        bool toDevice,
        TensorCache? cache,
        Traffic traffic,
        CancellationToken cancellationToken)
    {
        bool small = file.Length <= SmallFile, whole = false;
        SafetensorsEntry[] entries = [.. wanted.Select(tensor => file.Tensors[tensor])];
        Dictionary<string, Tensor> tensors = lease.Use(_ => Made(entries, entry => small ? file.Read(entry.Name) : SafetensorsFile.Empty(entry)));
        try
        {
            whole = (small || await ReadPiecesAsync(store, lease, file, entries, tensors, cache, traffic, cancellationToken))
                && lease.Use(model => Check(file, tensors, toDevice ? model.Device : CPU, cache));
            traffic.BytesRead += small && whole ? entries.Sum(entry => entry.ByteCount) : 0;
            return whole ? tensors : null;
        }
        finally
        {
            foreach (Tensor tensor in whole ? [] : tensors.Values.ToArray())
            {
                tensor.Dispose();
            }
        }
    }

    private static long Write(Stream to, IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        (string Name, Tensor Tensor)[] here = [.. tensors.Select(named => (named.Name, named.Tensor.cpu().contiguous()))];
        SafetensorsWriter.Write(to, here, here.ToDictionary(named => named.Name, named => Checksum(named.Tensor)));
        return here.Sum(named => named.Tensor.NumberOfElements * named.Tensor.ElementSize);
    }

    /// <summary>A tensor for each entry, in no dispose scope.</summary>
    private static Dictionary<string, Tensor> Made(IReadOnlyList<SafetensorsEntry> entries, Func<SafetensorsEntry, Tensor> make)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        (string Name, Tensor Tensor)[] made = [.. entries.Select(entry => (entry.Name, make(entry)))];
        return made.ToDictionary(one => one.Name, one => one.Tensor.DetachFromDisposeScope());
    }

    /// <summary>Fills tensors with pieces of the artifact, some of them at a time, so that no more than those are in memory twice.</summary>
    private static async Task<bool> ReadPiecesAsync(
        IArtifactStore store,
        LoadedModels.Lease lease,
        SafetensorsFile file,
        IReadOnlyList<SafetensorsEntry> entries,
        Dictionary<string, Tensor> into,
        TensorCache? cache,
        Traffic traffic,
        CancellationToken cancellationToken)
    {
        var pieces = new List<(SafetensorsEntry Entry, long From, int Count)>();
        foreach (SafetensorsEntry entry in entries)
        {
            if (cache?.Find(file.Name, entry.Name, file.Metadata[entry.Name]) is byte[] kept)
            {
                lease.Use(_ => Put(into[entry.Name], 0, kept));
                continue;
            }

            for (long from = 0; from < entry.ByteCount; from += PieceBytes)
            {
                pieces.Add((entry, from, (int)Math.Min(PieceBytes, entry.ByteCount - from)));
            }
        }

        foreach (var some in pieces.Chunk(PiecesInMemory))
        {
            byte[][] buffers = [.. some.Select(piece => ArrayPool<byte>.Shared.Rent(piece.Count))];
            try
            {
                ArtifactPiece[] asked = [.. some.Zip(buffers, (piece, buffer) => new ArtifactPiece(file.DataStart + piece.Entry.Begin + piece.From, buffer.AsMemory(0, piece.Count)))];
                if (!await store.ReadPiecesAsync(file.Name, asked, cancellationToken))
                {
                    return false;
                }

                foreach (var (piece, buffer) in some.Zip(buffers))
                {
                    lease.Use(_ => Put(into[piece.Entry.Name], piece.From, buffer.AsSpan(0, piece.Count)));
                    traffic.BytesRead += piece.Count;
                }
            }
            finally
            {
                Array.ForEach(buffers, buffer => ArrayPool<byte>.Shared.Return(buffer));
            }
        }

        return true;

        static bool Put(Tensor tensor, long from, ReadOnlySpan<byte> bytes)
        {
            using var mode = inference_mode();
            SafetensorsFile.Put(tensor, from, bytes);
            return true;
        }
    }

    /// <summary>Whether the tensors are what was written; those that are go to the device.</summary>
    private static bool Check(SafetensorsFile file, Dictionary<string, Tensor> tensors, Device device, TensorCache? cache)
    {
        using var mode = inference_mode();
        foreach (string name in tensors.Keys.ToArray())
        {
            using var scope = NewDisposeScope();
            Tensor read = tensors[name];
            string checksum = file.Metadata[name];
            if (checksum != Checksum(read))
            {
                return false;
            }

            cache?.Keep(file.Name, name, checksum, read.bytes);
            if (read.device_type != device.type)
            {
                tensors[name] = read.to(device).DetachFromDisposeScope();
                read.Dispose();
            }
        }

        return true;
    }

    private static string Checksum(Tensor tensor) => XxHash3.HashToUInt64(tensor.bytes).ToString("x16", CultureInfo.InvariantCulture);
}
