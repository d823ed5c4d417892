using Microsoft.Extensions.Caching.Memory;

namespace HeadPatching.Sweeps.Activities.Artifacts;

/// <summary>
/// Tensors that this worker has read over a network, for the next activity that looks at them: another band of the chunk's layers, another patch of
/// the same pairs. So many bytes and no more; of those that were not asked for lately some go when there is no room.
/// </summary>
internal sealed class TensorCache : IDisposable
{
    /// <summary>What a worker keeps, beside the models.</summary>
    private const long MostBytes = 512L << 20;

    private readonly MemoryCache _tensors = new(new MemoryCacheOptions { SizeLimit = MostBytes, CompactionPercentage = 0.25 });

    /// <summary>The bytes of a tensor; null where they are not kept.</summary>
    /// <param name="artifact">The artifact that it is in.</param>
    /// <param name="tensor">Its name there.</param>
    /// <param name="checksum">Its checksum there: an artifact may have been made again.</param>
    public byte[]? Find(string artifact, string tensor, string checksum) => _tensors.Get<byte[]>((artifact, tensor, checksum));

    /// <summary>Keeps the bytes of a tensor, unless it alone would take the place of many.</summary>
    /// <param name="artifact">The artifact that it is in.</param>
    /// <param name="tensor">Its name there.</param>
    /// <param name="checksum">Its checksum there.</param>
    /// <param name="bytes">The bytes.</param>
    public void Keep(string artifact, string tensor, string checksum, ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length <= MostBytes / 8)
        {
            using ICacheEntry entry = _tensors.CreateEntry((artifact, tensor, checksum));
            entry.Size = bytes.Length;
            entry.Value = bytes.ToArray();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _tensors.Dispose();
}
