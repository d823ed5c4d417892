using Azure;
using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;

namespace HeadPatching.Azure;

/// <summary>
/// Sends what is written to it to a blob, a block at a time; the blob comes to be at <see cref="CommitAsync"/>, whole. One block is in
/// memory. The SDK's own ways do not keep the promise of whole or not at all: OpenWriteAsync first makes an empty blob, and UploadAsync
/// numbers its blocks by their place, so that two writers at once would overwrite each other's blocks before either commits. Small content
/// is a block as well, and not one Put Blob: that can find a blob "already there" of which a killed writer left no more than loose blocks.
/// </summary>
internal sealed class BlockUploadStream : Stream
{
    private const int BlockSize = 8 << 20;

    private readonly BlockBlobClient _blob;
    private readonly List<string> _blockIds = [];
    private readonly MemoryStream _block = new();
    private long _length;

    public BlockUploadStream(BlockBlobClient blob) => _blob = blob;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => _length;

    public override long Position
    {
        get => _length;
        set => throw new NotSupportedException();
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty)
        {
            if (_block.Length == BlockSize)
                await StageAsync(cancellationToken);
            var part = buffer[..Math.Min(buffer.Length, BlockSize - (int)_block.Length)];
            Append(part.Span);
            buffer = buffer[part.Length..];
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            if (_block.Length == BlockSize)
                Stage();
            var part = buffer[..Math.Min(buffer.Length, BlockSize - (int)_block.Length)];
            Append(part);
            buffer = buffer[part.Length..];
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>Makes the blob of all that was written.</summary>
    /// <exception cref="RequestFailedException">Among others: <paramref name="conditions"/> do not hold.</exception>
    public async Task CommitAsync(
        BlobRequestConditions conditions, IDictionary<string, string> metadata, CancellationToken cancellationToken)
    {
        if (_block.Length > 0)
            await StageAsync(cancellationToken);
        await _blob.CommitBlockListAsync(
            _blockIds, new CommitBlockListOptions { Conditions = conditions, Metadata = metadata }, cancellationToken);
    }

    /// <summary>Does nothing: a block is sent when it is full.</summary>
    public override void Flush()
    {
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _block.Dispose();
        base.Dispose(disposing);
    }

    private void Append(ReadOnlySpan<byte> part)
    {
        _block.Write(part);
        _length += part.Length;
    }

    private async Task StageAsync(CancellationToken cancellationToken)
    {
        var id = NewBlockId();
        await _blob.StageBlockAsync(id, _block, cancellationToken: cancellationToken);
        Staged(id);
    }

    private void Stage()
    {
        var id = NewBlockId();
        _blob.StageBlock(id, _block);
        Staged(id);
    }

    // Of its own for every block of every writer, and all of one length as the service demands.
    private string NewBlockId()
    {
        _block.Position = 0;
        return Convert.ToBase64String(Guid.NewGuid().ToByteArray());
    }

    private void Staged(string id)
    {
        _blockIds.Add(id);
        _block.SetLength(0);
    }
}
