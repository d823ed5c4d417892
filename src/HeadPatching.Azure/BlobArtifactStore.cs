using System.Runtime.CompilerServices;
using Azure;
using Azure.Core;
using Azure.Identity;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Azure;

/// <summary>
/// Artifacts as blobs of one container of Azure Blob Storage, or of an emulator of it. The container is made when it is first needed.
/// A blob is made by one conditional request (If-None-Match, If-Match), so it is there whole or not at all.
/// </summary>
/// <remarks>
/// A retried request may find that its first attempt went through and only the answer was lost; then its own condition fails. So every
/// write marks its blob with an id of its own, by which it knows its content again.
/// </remarks>
public sealed class BlobArtifactStore : IArtifactStore
{
    /// <summary>The container, where nothing else is said.</summary>
    public const string DefaultContainer = "headpatching";

    private const string WriteIdKey = "writeid";
    private const int DeletesAtOnce = 8;
    private const int ReadsFromTheStart = 20;

    /// <summary>What is no longer than this is read in one request; it may be a text that changes, of which two requests could give two halves.</summary>
    private const int OneRequestBytes = 4 << 20;

    /// <summary>Requests for pieces of a blob that are under way at once: one alone is far from filling the line.</summary>
    private const int PiecesAtOnce = 8;

    private readonly BlobContainerClient _container;
    private readonly string _option;
    private readonly int? _listPageSize;
    private volatile bool _containerMade;

    /// <summary>Opens the store; nothing is asked of the service yet.</summary>
    /// <param name="container">The container, made with <see cref="ClientOptions"/> so that short faults are survived.</param>
    /// <param name="option">What the user calls the setting; faults name it.</param>
    /// <param name="listPageSize">How many names a request of a listing asks for; null for the service's own limit.</param>
    public BlobArtifactStore(BlobContainerClient container, string option = "--store", int? listPageSize = null)
    {
        _container = container;
        _option = option;
        _listPageSize = listPageSize;
    }

    /// <summary>
    /// Options by which dropped connections, timeouts, 429 and 5xx are tried again, six times within about a quarter of a minute where the
    /// service is down at once, and a request that hangs is given up after a minute.
    /// </summary>
    public static BlobClientOptions ClientOptions() => new()
    {
        Retry =
        {
            Mode = RetryMode.Exponential,
            MaxRetries = 6,
            Delay = TimeSpan.FromSeconds(0.2),
            MaxDelay = TimeSpan.FromSeconds(10),
            NetworkTimeout = TimeSpan.FromMinutes(1),
        },
    };

    /// <inheritdoc/>
    public async Task CheckAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await MakeContainerAsync(cancellationToken);

            // '~' keeps it apart from artifacts.
            var probe = _container.GetBlobClient($"~check-{Guid.NewGuid():n}");
            await probe.UploadAsync(BinaryData.Empty, cancellationToken);
            await probe.DeleteIfExistsAsync(cancellationToken: cancellationToken);
        }
        catch (Exception exception) when (exception is AuthenticationFailedException or RequestFailedException or AggregateException)
        {
            var hint = exception switch
            {
                AuthenticationFailedException => "; sign in with 'az login', or give the host an identity",
                RequestFailedException { Status: 403 } => "; check the key, or that the identity has the role Storage Blob Data Contributor",
                _ => "",
            };
            throw new InvalidInputException(
                FaultKinds.CannotWrite, _option, $"The container {this} cannot be written to: {SdkFailure.Reason(exception)}{hint}.");
        }
    }

    /// <inheritdoc/>
    public Task<bool> ExistsAsync(string name, CancellationToken cancellationToken = default) =>
        AskAsync(name, async () => (await Blob(name).ExistsAsync(cancellationToken)).Value, cancellationToken);

    /// <inheritdoc/>
    public async Task<Stream?> OpenReadAsync(string name, CancellationToken cancellationToken = default)
    {
        BlockBlobClient blob = Blob(name);
        return await AskAsync(name, () => UnchangedAsync<Stream>(async () =>
        {
            Stream stream = await blob.OpenReadAsync(
                new BlobOpenReadOptions(allowModifications: false) { BufferSize = OneRequestBytes }, cancellationToken);
            if (stream.Length > OneRequestBytes)
            {
                return Translated(stream, name);
            }

            await using (stream)
            {
                // One request gets one version, whichever it is, however often it is replaced.
                BlobDownloadResult whole = await blob.DownloadContentAsync(cancellationToken);
                return whole.Content.ToStream();
            }
        }), cancellationToken);
    }

    /// <inheritdoc/>
    public bool IsRemote => true;

    /// <inheritdoc/>
    public Task<bool> ReadPiecesAsync(string name, IReadOnlyList<ArtifactPiece> pieces, CancellationToken cancellationToken = default)
    {
        BlockBlobClient blob = Blob(name);
        return AskAsync(name, ReadAsync, cancellationToken);

        async Task<bool> ReadAsync()
        {
            try
            {
                await Parallel.ForEachAsync(pieces, new ParallelOptions { MaxDegreeOfParallelism = PiecesAtOnce, CancellationToken = cancellationToken }, async (piece, stop) =>
                {
                    BlobDownloadOptions range = new() { Range = new HttpRange(piece.From, piece.Into.Length) };
                    using BlobDownloadStreamingResult part = (await blob.DownloadStreamingAsync(range, stop)).Value;
                    await part.Content.ReadExactlyAsync(piece.Into, stop);
                });
                return true;
            }
            catch (Exception e) when (e is EndOfStreamException or RequestFailedException { Status: 404 or 416 })
            {
                return false;
            }
        }
    }

    /// <inheritdoc/>
    public async Task<bool> WriteIfAbsentAsync(
        string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken = default)
    {
        if (await ExistsAsync(name, cancellationToken))
            return false;
        await AskAsync(name, () => MakeContainerAsync(cancellationToken), cancellationToken);
        var blob = Blob(name);
        await using var upload = new BlockUploadStream(blob);
        await write(Translated(upload, name), cancellationToken);
        return await AskAsync(
            name,
            () => WriteOnConditionAsync(
                blob, metadata => upload.CommitAsync(OnCondition(etag: null), metadata, cancellationToken), cancellationToken),
            cancellationToken);
    }

    /// <inheritdoc/>
    public async Task WriteDerivedAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken = default)
    {
        var blob = Blob(name);
        await AskAsync(name, () => MakeContainerAsync(cancellationToken), cancellationToken);
        for (int attempt = 1; ; attempt++)
        {
            await using var upload = new BlockUploadStream(blob);
            await write(Translated(upload, name), cancellationToken);
            if (await AskAsync(name, () => TryCommitAsync(upload, mayFail: attempt < ReadsFromTheStart, cancellationToken), cancellationToken))
                return;
        }
    }

    /// <inheritdoc/>
    public async Task<StoredText?> ReadTextAsync(string name, CancellationToken cancellationToken = default)
    {
        BlockBlobClient blob = Blob(name);
        return await AskAsync(name, () => UnchangedAsync(async () =>
        {
            BlobDownloadResult text = (await blob.DownloadContentAsync(cancellationToken)).Value;
            return new StoredText(text.Content.ToString(), text.Details.ETag.ToString());
        }), cancellationToken);
    }

    /// <inheritdoc/>
    public async Task ReplaceTextAsync(string name, string text, CancellationToken cancellationToken = default)
    {
        var blob = Blob(name);
        await AskAsync(name, async () =>
        {
            await MakeContainerAsync(cancellationToken);
            await UploadTextAsync(blob, text, conditions: null, metadata: null, cancellationToken);
        }, cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<bool> TryReplaceTextAsync(string name, string text, string? etag, CancellationToken cancellationToken = default)
    {
        var blob = Blob(name);
        return await AskAsync(name, async () =>
        {
            await MakeContainerAsync(cancellationToken);
            return await WriteOnConditionAsync(
                blob, metadata => UploadTextAsync(blob, text, OnCondition(etag), metadata, cancellationToken), cancellationToken);
        }, cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ArtifactInfo> ListAsync(
        string prefix, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var options = new GetBlobsOptions { Prefix = ArtifactName.CheckedPrefix(prefix) };
        await foreach (var blob in ListedAsync(_container.GetBlobsAsync(options, cancellationToken), prefix, cancellationToken))
        {
            if (ArtifactName.IsValid(blob.Name))
                yield return new ArtifactInfo(blob.Name, blob.Properties.ContentLength ?? 0, blob.Properties.LastModified ?? default);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<string> ListFoldersAsync(
        string prefix, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var folder = ArtifactName.CheckedPrefix(prefix);
        var options = new GetBlobsByHierarchyOptions { Prefix = folder, Delimiter = "/" };
        await foreach (var item in ListedAsync(_container.GetBlobsByHierarchyAsync(options, cancellationToken), prefix, cancellationToken))
        {
            if (item.IsPrefix && item.Prefix[folder.Length..^1] is var name && ArtifactName.IsValidSegment(name))
                yield return name;
        }
    }

    /// <inheritdoc/>
    public Task DeleteAsync(string name, CancellationToken cancellationToken = default) =>
        AskAsync(name, () => Blob(name).DeleteIfExistsAsync(cancellationToken: cancellationToken), cancellationToken);

    /// <inheritdoc/>
    public async Task DeletePrefixAsync(string prefix, CancellationToken cancellationToken = default)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = DeletesAtOnce, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(
            ListAsync(ArtifactName.CheckedFolder(prefix), cancellationToken),
            options,
            async (artifact, stop) => await DeleteAsync(artifact.Name, stop));
    }

    /// <summary>The container's address, without any key or signature.</summary>
    public override string ToString() => _container.Uri.GetLeftPart(UriPartial.Path);

    /// <summary>What must hold for a write: the blob still has this version, or (null) is not there.</summary>
    private static BlobRequestConditions OnCondition(string? etag) =>
        etag is null ? new() { IfNoneMatch = ETag.All } : new() { IfMatch = new ETag(etag) };

    /// <summary>Reads a blob, from the start again where it was replaced between two requests; null when it is not there.</summary>
    private static async Task<T?> UnchangedAsync<T>(Func<Task<T>> read)
        where T : class
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await read();
            }
            catch (RequestFailedException exception) when (exception.Status == 404)
            {
                return null;
            }
            catch (RequestFailedException exception) when (exception.ErrorCode == BlobErrorCode.ConditionNotMet && attempt < ReadsFromTheStart)
            {
                // Its next version is there already.
            }
        }
    }

    /// <summary>Makes the blob of what was written; false where another, who writes the same, committed first and swept these blocks away.</summary>
    private static async Task<bool> TryCommitAsync(BlockUploadStream upload, bool mayFail, CancellationToken cancellationToken)
    {
        try
        {
            await upload.CommitAsync(new BlobRequestConditions(), new Dictionary<string, string>(), cancellationToken);
            return true;
        }
        catch (RequestFailedException exception) when (mayFail && exception.ErrorCode == BlobErrorCode.InvalidBlockList)
        {
            return false;
        }
    }

    private static async Task UploadTextAsync(
        BlockBlobClient blob,
        string text,
        BlobRequestConditions? conditions,
        IDictionary<string, string>? metadata,
        CancellationToken cancellationToken)
    {
        using var content = BinaryData.FromString(text).ToStream();
        await blob.UploadAsync(content, new BlobUploadOptions { Conditions = conditions, Metadata = metadata }, cancellationToken);
    }

    /// <summary>Runs a write that has a condition; false when the condition did not hold because of another's write.</summary>
    private static async Task<bool> WriteOnConditionAsync(
        BlockBlobClient blob, Func<IDictionary<string, string>, Task> write, CancellationToken cancellationToken)
    {
        var writeId = Guid.NewGuid().ToString("n");
        try
        {
            await write(new Dictionary<string, string> { [WriteIdKey] = writeId });
            return true;
        }
        catch (RequestFailedException exception) when (MayBeAnothersWrite(exception))
        {
            var writtenBy = await WriteIdAsync(blob, cancellationToken);
            if (writtenBy is null && exception.ErrorCode == BlobErrorCode.InvalidBlockList)
                throw;
            return writtenBy == writeId;
        }
    }

    // The last: who commits first also sweeps away the blocks that others have staged for the same blob (and if that blob is gone by
    // now, nothing was written).
    private static bool MayBeAnothersWrite(RequestFailedException exception) =>
        exception.ErrorCode == BlobErrorCode.BlobAlreadyExists
        || exception.ErrorCode == BlobErrorCode.ConditionNotMet
        || exception.ErrorCode == BlobErrorCode.BlobNotFound
        || exception.ErrorCode == BlobErrorCode.InvalidBlockList;

    private static async Task<string?> WriteIdAsync(BlockBlobClient blob, CancellationToken cancellationToken)
    {
        try
        {
            var properties = (await blob.GetPropertiesAsync(cancellationToken: cancellationToken)).Value;
            return properties.Metadata.TryGetValue(WriteIdKey, out var writeId) ? writeId : null;
        }
        catch (RequestFailedException exception) when (exception.Status == 404)
        {
            return null;
        }
    }

    private async IAsyncEnumerable<T> ListedAsync<T>(
        AsyncPageable<T> listing, string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
        where T : notnull
    {
        var pages = listing.AsPages(pageSizeHint: _listPageSize).GetAsyncEnumerator(cancellationToken);
        await using (pages)
        {
            while (await AskAsync(prefix, () => NextPageAsync(pages), cancellationToken))
            {
                foreach (var item in pages.Current.Values)
                    yield return item;
            }
        }
    }

    /// <summary>Goes to the next page; a container that is not there has none.</summary>
    private static async Task<bool> NextPageAsync<T>(IAsyncEnumerator<Page<T>> pages)
        where T : notnull
    {
        try
        {
            return await pages.MoveNextAsync();
        }
        catch (RequestFailedException exception) when (exception.ErrorCode == BlobErrorCode.ContainerNotFound)
        {
            return false;
        }
    }

    private async Task MakeContainerAsync(CancellationToken cancellationToken)
    {
        if (_containerMade)
            return;
        try
        {
            await _container.CreateIfNotExistsAsync(cancellationToken: cancellationToken);
        }
        catch (RequestFailedException exception) when (exception.Status == 403)
        {
            // An identity or signature may well be good for the blobs of a container and not for making one; if not, the write will say so.
        }

        _containerMade = true;
    }

    private BlockBlobClient Blob(string name) => _container.GetBlockBlobClient(ArtifactName.Checked(name));

    /// <summary>Asks the service; what the SDK throws leaves as the store's own exception.</summary>
    private async Task<T> AskAsync<T>(string name, Func<Task<T>> ask, CancellationToken cancellationToken)
    {
        try
        {
            return await ask();
        }
        catch (Exception e) when (SdkFailure.Translate(e, ToString(), name, cancellationToken) is Exception failure)
        {
            throw failure;
        }
    }

    /// <inheritdoc cref="AskAsync{T}"/>
    private async Task AskAsync(string name, Func<Task> ask, CancellationToken cancellationToken) => await AskAsync(
        name,
        async () =>
        {
            await ask();
            return true;
        },
        cancellationToken);

    private StoreStream Translated(Stream stream, string name) => new(stream, (e, stop) => SdkFailure.Translate(e, ToString(), name, stop));
}
