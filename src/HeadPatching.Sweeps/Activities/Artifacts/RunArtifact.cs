using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities.Artifacts;

/// <summary>What the runs of a band of layers over a chunk gave.</summary>
/// <param name="Baselines">The unpatched metrics, one a pair.</param>
/// <param name="Layers">The patched metrics, by layer.</param>
/// <param name="CacheSeconds">How long the clean and corrupted runs took; 0 where they were there.</param>
internal sealed record ChunkRuns(IReadOnlyList<Baseline> Baselines, IReadOnlyList<LayerPatches> Layers, double CacheSeconds);

/// <summary>
/// Runs as they lie in the store, little-endian: the text HPRUNS01; int32 pairs, layers; float64 cache seconds; of each pair float64 clean and
/// corrupted metric and int32 rows; of each layer int32 layer and units, int64 patched runs, float64 seconds and the metrics [pair][row][unit] as
/// float64; at last the XXH3 of all before. Written without waiting for the disk: what fails its checksum is not there.
/// </summary>
internal static class RunArtifact
{
    private static ReadOnlySpan<byte> Magic => "HPRUNS01"u8;

    /// <summary>Writes the runs of a chunk.</summary>
    public static async Task WriteAsync(IArtifactStore store, string key, ChunkRuns runs, Traffic traffic, CancellationToken cancellationToken)
    {
        byte[] bytes = Bytes(runs);
        await store.WriteDerivedAsync(SweepArtifacts.Runs(key), (to, cancel) => to.WriteAsync(bytes, cancel).AsTask(), cancellationToken);
        traffic.BytesWritten += bytes.Length;
    }

    /// <summary>Reads the runs of a chunk; null where they are not there whole.</summary>
    public static async Task<ChunkRuns?> ReadAsync(
        IArtifactStore store, string key, IReadOnlyList<TokenPair> pairs, Traffic traffic, CancellationToken cancellationToken)
    {
        await using Stream? stream = await store.OpenReadAsync(SweepArtifacts.Runs(key), cancellationToken);
        if (stream is null || stream.Length > Array.MaxLength)
        {
            return null;
        }

        byte[] bytes = new byte[stream.Length];
        int read = await stream.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken);
        traffic.BytesRead += read;
        return read == bytes.Length ? Runs(bytes, pairs) : null;
    }

    private static byte[] Bytes(ChunkRuns runs)
    {
        using var buffer = new MemoryStream();
        using var to = new BinaryWriter(buffer);
        to.Write(Magic);
        to.Write(runs.Baselines.Count);
        to.Write(runs.Layers.Count);
        to.Write(runs.CacheSeconds);
        for (int pair = 0; pair < runs.Baselines.Count; pair++)
        {
            to.Write(runs.Baselines[pair].Clean);
            to.Write(runs.Baselines[pair].Corrupted);
            to.Write(runs.Layers.Count == 0 ? 0 : runs.Layers[0].PatchedMetric[pair].Length);
        }

        foreach (LayerPatches layer in runs.Layers)
        {
            to.Write(layer.Layer);
            to.Write(layer.PatchedMetric[0][0].Length);
            to.Write(layer.PatchedRuns);
            to.Write(layer.Seconds);
            foreach (double[] units in layer.PatchedMetric.SelectMany(rows => rows))
            {
                to.Write(MemoryMarshal.AsBytes(units.AsSpan()));
            }
        }

        to.Write(XxHash3.HashToUInt64(buffer.GetBuffer().AsSpan(0, (int)buffer.Length)));
        return buffer.ToArray();
    }

    private static ChunkRuns? Runs(byte[] bytes, IReadOnlyList<TokenPair> pairs)
    {
        if (bytes.Length < Magic.Length + sizeof(ulong)
            || !bytes.AsSpan().StartsWith(Magic)
            || BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(bytes.Length - sizeof(ulong))) != XxHash3.HashToUInt64(bytes.AsSpan(0, bytes.Length - sizeof(ulong))))
        {
            return null;
        }

        using var from = new BinaryReader(new MemoryStream(bytes));
        from.BaseStream.Position = Magic.Length;
        int count = from.ReadInt32(), layerCount = from.ReadInt32();
        double cacheSeconds = from.ReadDouble();
        if (count != pairs.Count)
        {
            return null;
        }

        var baselines = new Baseline[count];
        int[] rows = new int[count];
        for (int pair = 0; pair < count; pair++)
        {
            baselines[pair] = new Baseline(from.ReadDouble(), from.ReadDouble());
            rows[pair] = from.ReadInt32();
        }

        int[] indices = [.. pairs.Select(pair => pair.Index)];
        var layers = new LayerPatches[layerCount];
        for (int i = 0; i < layerCount; i++)
        {
            int layer = from.ReadInt32(), units = from.ReadInt32();
            long patchedRuns = from.ReadInt64();
            double seconds = from.ReadDouble();
            double[][][] metric = [.. rows.Select(of => Enumerable.Range(0, of).Select(_ => Numbers(from, units)).ToArray())];
            layers[i] = new LayerPatches(layer, indices, metric, patchedRuns, seconds);
        }

        return new ChunkRuns(baselines, layers, cacheSeconds);
    }

    private static double[] Numbers(BinaryReader from, int count)
    {
        double[] numbers = new double[count];
        from.BaseStream.ReadExactly(MemoryMarshal.AsBytes(numbers.AsSpan()));
        return numbers;
    }
}
