namespace HeadPatching.Sweeps.Storage;

/// <summary>
/// A stream into or out of a store. It goes on asking the store long after the call that gave it, so it says in the store's way, too, what
/// went wrong. It owns the stream that it is over.
/// </summary>
public sealed class StoreStream : Stream
{
    private readonly Stream _inner;
    private readonly Func<Exception, CancellationToken, Exception?> _failureOf;

    /// <summary>Wraps a stream.</summary>
    /// <param name="inner">The stream; disposed of with this one.</param>
    /// <param name="failureOf">
    /// What to throw in place of what reading or writing threw, given the token of that call; null where that is to be thrown as it is.
    /// </param>
    public StoreStream(Stream inner, Func<Exception, CancellationToken, Exception?> failureOf)
    {
        _inner = inner;
        _failureOf = failureOf;
    }

    /// <inheritdoc/>
    public override bool CanRead => _inner.CanRead;

    /// <inheritdoc/>
    public override bool CanSeek => _inner.CanSeek;

    /// <inheritdoc/>
    public override bool CanWrite => _inner.CanWrite;

    /// <inheritdoc/>
    public override long Length => _inner.Length;

    /// <inheritdoc/>
    public override long Position
    {
        get => _inner.Position;
        set => _inner.Position = value;
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => _inner.Seek(offset, origin);

    /// <inheritdoc/>
    public override void SetLength(long value) => _inner.SetLength(value);

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        try
        {
            return _inner.Read(buffer);
        }
        catch (Exception e) when (_failureOf(e, CancellationToken.None) is Exception failure)
        {
            throw failure;
        }
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await _inner.ReadAsync(buffer, cancellationToken);
        }
        catch (Exception e) when (_failureOf(e, cancellationToken) is Exception failure)
        {
            throw failure;
        }
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            _inner.Write(buffer);
        }
        catch (Exception e) when (_failureOf(e, CancellationToken.None) is Exception failure)
        {
            throw failure;
        }
    }

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            await _inner.WriteAsync(buffer, cancellationToken);
        }
        catch (Exception e) when (_failureOf(e, cancellationToken) is Exception failure)
        {
            throw failure;
        }
    }

    /// <inheritdoc/>
    public override void Flush()
    {
        try
        {
            _inner.Flush();
        }
        catch (Exception e) when (_failureOf(e, CancellationToken.None) is Exception failure)
        {
            throw failure;
        }
    }

    /// <inheritdoc/>
    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _inner.FlushAsync(cancellationToken);
        }
        catch (Exception e) when (_failureOf(e, cancellationToken) is Exception failure)
        {
            throw failure;
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        try
        {
            await _inner.DisposeAsync(); // may have something left to write
        }
        catch (Exception e) when (_failureOf(e, CancellationToken.None) is Exception failure)
        {
            throw failure;
        }

        await base.DisposeAsync();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        try
        {
            if (disposing)
            {
                _inner.Dispose();
            }
        }
        catch (Exception e) when (_failureOf(e, CancellationToken.None) is Exception failure)
        {
            throw failure;
        }

        base.Dispose(disposing);
    }
}
