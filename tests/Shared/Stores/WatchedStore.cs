using System.Collections.Concurrent;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Testing;

/// <summary>A store that counts what is written and fails where it is told to.</summary>
internal sealed class WatchedStore(IArtifactStore inner) : IArtifactStore
{
    /// <summary>Every artifact that was written whole, in order.</summary>
    public ConcurrentQueue<string> Written { get; } = [];

    /// <summary>Every artifact that was asked for, in order.</summary>
    public ConcurrentQueue<string> Opened { get; } = [];

    /// <summary>Every text that was read, and every folder that was listed with all that is in it.</summary>
    public ConcurrentQueue<string> Read { get; } = [];

    /// <inheritdoc cref="Read"/>
    public ConcurrentQueue<string> Listed { get; } = [];

    /// <summary>Is asked before each operation on artifacts that are written once; what it throws, the operation throws.</summary>
    public Action<string> Before { get; set; } = _ => { };

    public Task CheckAsync(CancellationToken cancellationToken = default) => inner.CheckAsync(cancellationToken);

    public Task<bool> ExistsAsync(string name, CancellationToken cancellationToken = default)
    {
        Before(name);
        return inner.ExistsAsync(name, cancellationToken);
    }

    public Task<Stream?> OpenReadAsync(string name, CancellationToken cancellationToken = default)
    {
        Before(name);
        Opened.Enqueue(name);
        return inner.OpenReadAsync(name, cancellationToken);
    }

    /// <summary>How many pieces of artifacts were read.</summary>
    public int PiecesRead => _piecesRead;

    private int _piecesRead;

    public bool IsRemote { get; init; } = inner.IsRemote;

    public Task<bool> ReadPiecesAsync(string name, IReadOnlyList<ArtifactPiece> pieces, CancellationToken cancellationToken = default)
    {
        Before(name);
        Interlocked.Add(ref _piecesRead, pieces.Count);
        return inner.ReadPiecesAsync(name, pieces, cancellationToken);
    }

    public async Task<bool> WriteIfAbsentAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken = default)
    {
        Before(name);
        bool written = await inner.WriteIfAbsentAsync(name, write, cancellationToken);
        if (written)
        {
            Written.Enqueue(name);
        }

        return written;
    }

    public async Task WriteDerivedAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken = default)
    {
        Before(name);
        await inner.WriteDerivedAsync(name, write, cancellationToken);
        Written.Enqueue(name);
    }

    /// <summary>Is asked before each operation on texts that are replaced.</summary>
    public Action<string> BeforeText { get; set; } = _ => { };

    public Task<StoredText?> ReadTextAsync(string name, CancellationToken cancellationToken = default)
    {
        BeforeText(name);
        Read.Enqueue(name);
        return inner.ReadTextAsync(name, cancellationToken);
    }

    public Task ReplaceTextAsync(string name, string text, CancellationToken cancellationToken = default) => inner.ReplaceTextAsync(name, text, cancellationToken);

    public Task<bool> TryReplaceTextAsync(string name, string text, string? etag, CancellationToken cancellationToken = default) =>
        inner.TryReplaceTextAsync(name, text, etag, cancellationToken);

    public IAsyncEnumerable<ArtifactInfo> ListAsync(string prefix, CancellationToken cancellationToken = default)
    {
        Listed.Enqueue(prefix);
        return inner.ListAsync(prefix, cancellationToken);
    }

    public IAsyncEnumerable<string> ListFoldersAsync(string prefix, CancellationToken cancellationToken = default) => inner.ListFoldersAsync(prefix, cancellationToken);

    public Task DeleteAsync(string name, CancellationToken cancellationToken = default) => inner.DeleteAsync(name, cancellationToken);

    /// <summary>Is told of each folder that was deleted, before the call returns.</summary>
    public Func<string, Task> AfterDeletion { get; set; } = _ => Task.CompletedTask;

    public async Task DeletePrefixAsync(string prefix, CancellationToken cancellationToken = default)
    {
        await inner.DeletePrefixAsync(prefix, cancellationToken);
        await AfterDeletion(prefix);
    }
}
