using HeadPatching.Core.Faults;

namespace HeadPatching.Sweeps.Storage;

/// <summary>
/// Where a sweep keeps what it makes: cached activations, layer results, the report. Names are forward-slash paths such as
/// <c>sweeps/ab12/layers/layer-003-chunk-000.json</c> (the rules are in <see cref="ArtifactName"/>). A name is either an artifact or a
/// folder of artifacts, never both. Every artifact is there whole or not at all, whatever process is killed at whatever moment, and all
/// members may be called by any number of threads and processes at once.
/// </summary>
/// <remarks>
/// Two kinds of artifacts. Those written once, by <see cref="WriteIfAbsentAsync"/>, never change until they are deleted: an activity that
/// finds its artifact need not run again. The few small texts that do change (a sweep's status, its cancel mark, an idempotency key) are
/// written by <see cref="ReplaceTextAsync"/> and <see cref="TryReplaceTextAsync"/>. All members throw <see cref="ArgumentException"/> for
/// a name that breaks the rules, and <see cref="StoreUnavailableException"/> when the store fails even after its retries, which says whether
/// a later try is worth it; so do the streams that they give. What a caller's own function throws while it writes leaves as it is.
/// </remarks>
public interface IArtifactStore
{
    /// <summary>Makes sure that the store can be written to, by writing to it. Call it once, before the first work.</summary>
    /// <exception cref="InvalidInputException">It cannot; the fault (<see cref="FaultKinds.CannotWrite"/>) says why.</exception>
    Task CheckAsync(CancellationToken cancellationToken = default);

    /// <summary>Whether the artifact is there.</summary>
    Task<bool> ExistsAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>
    /// Opens the artifact for reading. The stream can seek, and only what is read is fetched (in blocks of some MB), so that one tensor can
    /// be taken out of a large file.
    /// </summary>
    /// <returns>The stream, the caller's to dispose of; null when the artifact is not there.</returns>
    Task<Stream?> OpenReadAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>Reads pieces of an artifact, several at a time where that is faster.</summary>
    /// <param name="name">The artifact's name.</param>
    /// <param name="pieces">The pieces; each is filled whole.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>False where the artifact is not there, or ends before a piece does: what the pieces hold then is of no use.</returns>
    Task<bool> ReadPiecesAsync(string name, IReadOnlyList<ArtifactPiece> pieces, CancellationToken cancellationToken = default);

    /// <summary>Whether each reading goes over a network, so that what was read once is worth keeping in memory.</summary>
    bool IsRemote { get; }

    /// <summary>
    /// Writes the artifact unless it is already there. The first writer to finish wins. When <paramref name="write"/> throws, nothing is
    /// left behind. Memory stays bounded however large the artifact.
    /// </summary>
    /// <param name="name">The artifact's name.</param>
    /// <param name="write">Writes the content to the stream it is given; not called when the artifact is already there.</param>
    /// <param name="cancellationToken">Stops the writing; the artifact is then absent.</param>
    /// <returns>True when this call's content is now the artifact, false when another was there first.</returns>
    Task<bool> WriteIfAbsentAsync(
        string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken = default);

    /// <summary>
    /// Writes what can be made again, in place of what may be there. It is not forced onto the disk: after a power cut it may be torn, so
    /// it needs a checksum of its own, and what fails it counts as absent. Otherwise as <see cref="WriteIfAbsentAsync"/>.
    /// </summary>
    /// <param name="name">The artifact's name.</param>
    /// <param name="write">Writes the content to the stream it is given.</param>
    /// <param name="cancellationToken">Stops the writing; what was there stays.</param>
    Task WriteDerivedAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken = default);

    /// <summary>Reads a small text whole.</summary>
    /// <returns>The text and its version; null when it is not there.</returns>
    Task<StoredText?> ReadTextAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>Writes a small text, in place of what is there. The last writer wins.</summary>
    Task ReplaceTextAsync(string name, string text, CancellationToken cancellationToken = default);

    /// <summary>Writes a small text if what is there is still what the caller read (compare and set).</summary>
    /// <param name="name">The artifact's name.</param>
    /// <param name="text">The new text.</param>
    /// <param name="etag">The version that the caller read (<see cref="StoredText.ETag"/>); null: there must be none yet.</param>
    /// <param name="cancellationToken">Stops the call.</param>
    /// <returns>True when the text was written, false when it has changed meanwhile: read it again, then decide anew.</returns>
    Task<bool> TryReplaceTextAsync(string name, string text, string? etag, CancellationToken cancellationToken = default);

    /// <summary>Lists the artifacts below a folder, by name in ordinal order. What is still being written is never listed.</summary>
    /// <param name="prefix">The folder, such as <c>sweeps/ab12</c>, with or without a last slash; empty for all artifacts.</param>
    /// <param name="cancellationToken">Stops the listing.</param>
    IAsyncEnumerable<ArtifactInfo> ListAsync(string prefix, CancellationToken cancellationToken = default);

    /// <summary>Lists the folders directly below a folder, such as each sweep's: by name in ordinal order, without looking at what is in them.</summary>
    /// <param name="prefix">The folder, such as <c>sweeps</c>, with or without a last slash; empty for the store itself.</param>
    /// <param name="cancellationToken">Stops the listing.</param>
    /// <returns>Each folder's last segment, such as <c>ab12</c>.</returns>
    IAsyncEnumerable<string> ListFoldersAsync(string prefix, CancellationToken cancellationToken = default);

    /// <summary>Deletes the artifact, if it is there.</summary>
    Task DeleteAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>Deletes every artifact below a folder. <c>sweeps/ab</c> does not reach <c>sweeps/ab12</c>.</summary>
    /// <param name="prefix">The folder, with or without a last slash; not empty.</param>
    /// <param name="cancellationToken">Stops the deleting, perhaps half way.</param>
    Task DeletePrefixAsync(string prefix, CancellationToken cancellationToken = default);
}

/// <summary>A piece of an artifact.</summary>
/// <param name="From">Its first byte in the artifact.</param>
/// <param name="Into">Where its bytes go; as long as it is.</param>
public readonly record struct ArtifactPiece(long From, Memory<byte> Into);
