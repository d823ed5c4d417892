using System.Security.Cryptography;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Models;

/// <summary>
/// A model whose weights stay in the store and are read from there straight into the memory that they are used in, by several requests at once. On the
/// machine's disk are config.json, the index of shards and the tokenizer, in a folder of its own.
/// </summary>
internal static class StoredWeights
{
    /// <summary>Finds the model's weights in the store, and brings the small files here.</summary>
    /// <exception cref="InvalidInputException">The model was uploaded without hashes of its blocks.</exception>
    /// <exception cref="InvalidDataException">What is in the store is not what was uploaded.</exception>
    public static async Task<LocatedModel> LocateAsync(IArtifactStore store, NamedModel named, CancellationToken cancellationToken)
    {
        StoredModel model = named.Model;
        if (!model.HasBlocks)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidWeights,
                "model",
                $"The model '{named.Name}' was uploaded without hashes of its weights' blocks, by which it would be read without a copy on disk. Upload it again: headpatch model push FOLDER {named.Name}.");
        }

        var folder = new TemporaryModelFolder();
        try
        {
            foreach (StoredModelFile file in model.Files.Where(file => !file.IsWeights))
            {
                await using var local = File.Create(Path.Combine(folder.Path, file.Name));
                await using Stream stored = new StoredFileStream(store, named, file);
                await stored.CopyToAsync(local, cancellationToken);
            }
        }
        catch
        {
            folder.Dispose();
            throw;
        }

        return new LocatedModel(
            named.Name,
            folder.Path,
            folder,
            name => model.Files.FirstOrDefault(file => file.IsWeights && file.Name == name) is StoredModelFile weights ? new StoredFileStream(store, named, weights) : null,
            model.Fingerprint);
    }

    private sealed class TemporaryModelFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("headpatching-model-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}

/// <summary>
/// A file of a model in the store. It is brought in blocks, each held to its hash before any of it is given out, and some ahead of a reader who goes on
/// from one to the next. Memory: <see cref="Held"/> blocks. One thread at a time may read.
/// </summary>
/// <param name="store">The store.</param>
/// <param name="named">The model.</param>
/// <param name="file">The file, with hashes of its blocks.</param>
/// <param name="tensors">Whether a fault names the tensors that a damaged block is of.</param>
internal sealed class StoredFileStream(IArtifactStore store, NamedModel named, StoredModelFile file, bool tensors = true) : Stream
{
    private const int Held = PiecesInOrder.AtOnce + 2;

    private readonly List<(int Block, Task<byte[]> Bytes)> _blocks = []; // the one used last stands last
    private readonly CancellationTokenSource _closed = new();
    private int _last = -1;

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => true;

    /// <inheritdoc/>
    public override bool CanWrite => false;

    /// <inheritdoc/>
    public override long Length => file.Length;

    /// <inheritdoc/>
    public override long Position { get; set; }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">The store's bytes are not those that were uploaded.</exception>
    public override int Read(Span<byte> buffer)
    {
        if (Position >= Length || buffer.IsEmpty)
        {
            return 0;
        }

        ReadOnlySpan<byte> block = BlockAsync((int)(Position / StoredModelFile.BlockBytes)).GetAwaiter().GetResult();
        ReadOnlySpan<byte> rest = block[(int)(Position % StoredModelFile.BlockBytes)..];
        int read = Math.Min(rest.Length, buffer.Length);
        rest[..read].CopyTo(buffer);
        Position += read;
        return read;
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (Position < Length)
        {
            await BlockAsync((int)(Position / StoredModelFile.BlockBytes)).WaitAsync(cancellationToken);
        }

        return Read(buffer.Span);
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) =>
        Position = offset + (origin switch { SeekOrigin.Begin => 0, SeekOrigin.Current => Position, _ => Length });

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _closed.Cancel();
        }

        base.Dispose(disposing);
    }

    /// <summary>A block; where it follows the one before, those after it are on their way too.</summary>
    private Task<byte[]> BlockAsync(int block)
    {
        int ahead = block == _last || block == _last + 1 ? PiecesInOrder.AtOnce : 1;
        for (int next = Math.Min(block + ahead, file.Blocks!.Count) - 1; next > block; next--)
        {
            Begun(next);
        }

        _last = block;
        return Begun(block); // used last, and so the last to go
    }

    private Task<byte[]> Begun(int block)
    {
        int at = _blocks.FindIndex(one => one.Block == block);
        Task<byte[]> bytes = at >= 0 && !_blocks[at].Bytes.IsFaulted ? _blocks[at].Bytes : Task.Run(() => FetchAsync(block));
        if (at >= 0)
        {
            _blocks.RemoveAt(at);
        }
        else if (_blocks.Count == Held)
        {
            _blocks.RemoveAt(0);
        }

        _blocks.Add((block, bytes));
        return bytes;
    }

    private async Task<byte[]> FetchAsync(int block)
    {
        long from = (long)block * StoredModelFile.BlockBytes;
        byte[] bytes = new byte[Math.Min(StoredModelFile.BlockBytes, Length - from)];
        for (int attempt = 1; ; attempt++)
        {
            bool isThere = await store.ReadPiecesAsync(named.Model.Artifact(named.Name, file.Name), [new ArtifactPiece(from, bytes)], _closed.Token);
            if (isThere && Convert.ToHexStringLower(SHA256.HashData(bytes)) == file.Blocks![block])
            {
                return bytes;
            }

            if (!isThere || attempt == 2) // once it may be the network
            {
                throw ModelCache.NotAsUploaded(named.Name, isThere
                    ? $"{file.Name} is damaged between bytes {from} and {from + bytes.Length}{TensorsIn(from, from + bytes.Length)}"
                    : $"{file.Name} is missing, or ends before byte {from + bytes.Length}");
            }
        }
    }

    /// <summary>Which tensors have bytes in a range, as far as the header can be read.</summary>
    private string TensorsIn(long from, long end)
    {
        if (!tensors || !file.IsWeights)
        {
            return "";
        }

        try
        {
            using var whole = SafetensorsFile.Open(new StoredFileStream(store, named, file, tensors: false), file.Name);
            return ", in " + Untrusted.ShowSome(
                [.. whole.Tensors.Where(tensor => whole.DataStart + tensor.Value.Begin < end && whole.DataStart + tensor.Value.Begin + tensor.Value.ByteCount > from).Select(tensor => tensor.Key).Order(StringComparer.Ordinal)]);
        }
        catch (Exception e) when (e is InvalidDataException or InvalidInputException)
        {
            return ", its header among them";
        }
    }
}
