using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using HeadPatching.Core.Faults;

namespace HeadPatching.Sweeps.Storage;

/// <summary>
/// Artifacts as files of one folder. What is being written lies in the subfolder <c>~work</c>, a name that no artifact can have, and comes
/// to its place by a rename: whole or not at all. Renames are done one at a time, also between processes, under a lock on the file
/// <c>~work/lock</c>, which the operating system gives up when its holder dies. The folder is made private to its user; one that is there
/// already keeps the rights that it has.
/// </summary>
public sealed class LocalArtifactStore : IArtifactStore
{
    private static readonly TimeSpan LongestLockWait = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StaleAfter = TimeSpan.FromDays(1);

    private readonly string _folder;
    private readonly string _workFolder;
    private readonly string _option;

    /// <summary>Opens the store; the folder is made at once.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="option">What the user calls the setting; faults name it.</param>
    /// <exception cref="InvalidInputException">The folder cannot be made.</exception>
    public LocalArtifactStore(string folder, string option = "--store")
    {
        _folder = Path.GetFullPath(folder);
        _workFolder = Path.Combine(_folder, "~work");
        _option = option;
        try
        {
            if (!Directory.Exists(_folder))
                MakePrivate(_folder);
            Directory.CreateDirectory(_workFolder);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(exception);
        }

        DeleteStaleWork();
    }

    /// <inheritdoc/>
    public async Task CheckAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            File.Delete(await WriteWorkFileAsync("", (_, _) => Task.CompletedTask, toDisk: true, cancellationToken));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite((exception as StoreUnavailableException)?.InnerException ?? exception);
        }
    }

    /// <inheritdoc/>
    public Task<bool> ExistsAsync(string name, CancellationToken cancellationToken = default) =>
        Task.FromResult(File.Exists(PathOf(ArtifactName.Checked(name))));

    /// <inheritdoc/>
    public Task<Stream?> OpenReadAsync(string name, CancellationToken cancellationToken = default)
    {
        var path = PathOf(ArtifactName.Checked(name));
        try
        {
            // Delete is shared so that a reader never keeps a writer from replacing the file, or a sweep from being deleted.
            return Task.FromResult<Stream?>(Translated(
                new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 1 << 16, useAsync: true), name));
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return Task.FromResult<Stream?>(null);
        }
        catch (UnauthorizedAccessException exception)
        {
            // Another user's file, or a folder in its place. It is this one artifact that is wrong: the store serves all others.
            throw new DamagedArtifactException(name, "it is a folder, or this user may not read it", exception);
        }
        catch (IOException exception)
        {
            throw FailureOf(exception, name)!;
        }
    }

    /// <inheritdoc/>
    public bool IsRemote => false; // the system keeps what was read in memory

    /// <inheritdoc/>
    public async Task<bool> ReadPiecesAsync(string name, IReadOnlyList<ArtifactPiece> pieces, CancellationToken cancellationToken = default)
    {
        await using Stream? stream = await OpenReadAsync(name, cancellationToken);
        if (stream is null)
        {
            return false;
        }

        foreach (var (from, into) in pieces)
        {
            stream.Position = from;
            if (await stream.ReadAtLeastAsync(into, into.Length, throwOnEndOfStream: false, cancellationToken) < into.Length)
            {
                return false;
            }
        }

        return true;
    }

    /// <inheritdoc/>
    public async Task<bool> WriteIfAbsentAsync(
        string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken = default)
    {
        var path = PathOf(ArtifactName.Checked(name));
        return !File.Exists(path) && await PublishAsync(name, write, () => !File.Exists(path), cancellationToken);
    }

    /// <inheritdoc/>
    public async Task WriteDerivedAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken = default)
    {
        var path = PathOf(ArtifactName.Checked(name));
        var workFile = await WriteWorkFileAsync(name, write, toDisk: false, cancellationToken);
        Ask(name, () =>
        {
            try
            {
                // Without the lock: whoever renames last wins, and all write the same.
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                File.Move(workFile, path, overwrite: true);
            }
            finally
            {
                File.Delete(workFile);
            }
        });
    }

    /// <inheritdoc/>
    public async Task<StoredText?> ReadTextAsync(string name, CancellationToken cancellationToken = default)
    {
        var stream = await OpenReadAsync(name, cancellationToken);
        if (stream is null)
            return null;
        await using (stream)
        {
            using var bytes = new MemoryStream();
            await stream.CopyToAsync(bytes, cancellationToken);
            return new StoredText(Encoding.UTF8.GetString(bytes.ToArray()), ETagOf(bytes.ToArray()));
        }
    }

    /// <inheritdoc/>
    public async Task ReplaceTextAsync(string name, string text, CancellationToken cancellationToken = default) =>
        await PublishAsync(ArtifactName.Checked(name), Content(text), () => true, cancellationToken);

    /// <inheritdoc/>
    public async Task<bool> TryReplaceTextAsync(
        string name, string text, string? etag, CancellationToken cancellationToken = default)
    {
        var path = PathOf(ArtifactName.Checked(name));
        return await PublishAsync(name, Content(text), IsAsRead, cancellationToken);

        bool IsAsRead() => File.Exists(path) ? ETagOf(File.ReadAllBytes(path)) == etag : etag is null;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ArtifactInfo> ListAsync(
        string prefix, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var folder = new DirectoryInfo(PathOf(ArtifactName.CheckedPrefix(prefix)));
        var artifacts = await Task.Run(() => Ask(prefix, () => InfosOf(folder)), cancellationToken);
        foreach (var artifact in artifacts.OrderBy(artifact => artifact.Name, StringComparer.Ordinal))
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return artifact;
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<string> ListFoldersAsync(
        string prefix, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var folder = PathOf(ArtifactName.CheckedPrefix(prefix));
        foreach (var name in await Task.Run(() => Ask(prefix, () => FoldersIn(folder)), cancellationToken))
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return name;
        }
    }

    /// <inheritdoc/>
    public Task DeleteAsync(string name, CancellationToken cancellationToken = default)
    {
        var path = PathOf(ArtifactName.Checked(name));
        Ask(name, () =>
        {
            try
            {
                File.Delete(path);
            }
            catch (DirectoryNotFoundException)
            {
                // Its folder is not there either: nothing to delete.
            }
        });
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task DeletePrefixAsync(string prefix, CancellationToken cancellationToken = default)
    {
        var folder = PathOf(ArtifactName.CheckedFolder(prefix));
        var doomed = NewWorkPath();
        await AskAsync(prefix, async () =>
        {
            using (await LockAsync(cancellationToken))
            {
                if (!Directory.Exists(folder))
                    return false;

                // Gone at one stroke: nobody meets a sweep that is half deleted, not even after a kill. Made young first, so that it is not
                // taken for stale work by a process that starts just now.
                Directory.SetLastWriteTimeUtc(folder, DateTime.UtcNow);
                Directory.Move(folder, doomed);
            }

            Directory.Delete(doomed, recursive: true);
            return true;
        });
    }

    /// <summary>The folder.</summary>
    public override string ToString() => _folder;

    private static Func<Stream, CancellationToken, Task> Content(string text) =>
        (stream, cancellationToken) => stream.WriteAsync(Encoding.UTF8.GetBytes(text), cancellationToken).AsTask();

    // Of the content alone: a text that was changed and changed back is again what the caller read.
    private static string ETagOf(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

    private static bool IsOlderThan(FileSystemInfo info, DateTime time) => info.Exists && info.LastWriteTimeUtc < time;

    /// <summary>
    /// Writes a file in the work folder, then makes it the artifact if <paramref name="mayPublish"/>, asked under the lock.
    /// </summary>
    private async Task<bool> PublishAsync(
        string name, Func<Stream, CancellationToken, Task> write, Func<bool> mayPublish, CancellationToken cancellationToken)
    {
        var path = PathOf(name);
        var workFile = await WriteWorkFileAsync(name, write, toDisk: true, cancellationToken);
        return await AskAsync(name, async () =>
        {
            try
            {
                using (await LockAsync(cancellationToken))
                {
                    if (!mayPublish())
                        return false;
                    Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                    File.Move(workFile, path, overwrite: true);
                    return true;
                }
            }
            finally
            {
                File.Delete(workFile);
            }
        });
    }

    private async Task<string> WriteWorkFileAsync(
        string name, Func<Stream, CancellationToken, Task> write, bool toDisk, CancellationToken cancellationToken)
    {
        var workFile = NewWorkPath();
        FileStream file = Ask(name, () =>
        {
            Directory.CreateDirectory(_workFolder);
            return new FileStream(workFile, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16, useAsync: true);
        });
        try
        {
            await using StoreStream stream = Translated(file, name);
            await write(stream, cancellationToken);

            // Onto the disk before the rename: after a power cut a name must not stand for a file without its content.
            Ask(name, () => file.Flush(flushToDisk: toDisk));
            return workFile;
        }
        catch
        {
            Ask(name, () => File.Delete(workFile));
            throw;
        }
    }

    private async Task<FileStream> LockAsync(CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(_workFolder);
        var deadline = Environment.TickCount64 + (long)LongestLockWait.TotalMilliseconds;
        while (true)
        {
            try
            {
                return new FileStream(Path.Combine(_workFolder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (Environment.TickCount64 < deadline)
            {
                // Another holds it, for no longer than a rename takes.
                await Task.Delay(5, cancellationToken);
            }
        }
    }

    private List<ArtifactInfo> InfosOf(DirectoryInfo folder)
    {
        var artifacts = new List<ArtifactInfo>();
        if (!folder.Exists)
            return artifacts;
        foreach (var file in folder.EnumerateFiles("*", SearchOption.AllDirectories))
        {
            var name = Path.GetRelativePath(_folder, file.FullName).Replace(Path.DirectorySeparatorChar, '/');
            if (ArtifactName.IsValid(name) && file.Exists)
                artifacts.Add(new ArtifactInfo(name, file.Length, file.LastWriteTimeUtc));
        }

        return artifacts;
    }

    /// <summary>Deletes what killed processes left: those of this machine at once, of which others can tell; else once nobody can be at it any more.</summary>
    private void DeleteStaleWork()
    {
        var limit = DateTime.UtcNow - StaleAfter;
        try
        {
            foreach (var left in new DirectoryInfo(_workFolder).EnumerateFileSystemInfos("*.tmp"))
            {
                var writer = ProcessIdentity.Parse(left.Name.Split('.')[0]);
                if (writer?.HasEnded() == true || IsOlderThan(left, limit))
                    Delete(left);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Another process is tidying up at this moment, or they are another user's. They are in nobody's way.
        }
    }

    private static void Delete(FileSystemInfo left)
    {
        if (left is DirectoryInfo folder)
            folder.Delete(recursive: true);
        else
            left.Delete();
    }

    private static void MakePrivate(string folder)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder); // below the user's own data it is private there, too
        else
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>The folders in a folder, but for those from which everything was deleted.</summary>
    private static List<string> FoldersIn(string folder)
    {
        try
        {
            return
            [
                .. new DirectoryInfo(folder).EnumerateDirectories()
                    .Where(inner => ArtifactName.IsValidSegment(inner.Name) && !IsEmpty(inner))
                    .Select(inner => inner.Name)
                    .Order(StringComparer.Ordinal),
            ];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }

        static bool IsEmpty(DirectoryInfo inner)
        {
            try
            {
                return !inner.EnumerateFileSystemInfos().Any();
            }
            catch (DirectoryNotFoundException)
            {
                return true; // it went at this moment
            }
        }
    }

    /// <summary>Asks the file system; what it throws leaves as the store's own exception.</summary>
    private T Ask<T>(string name, Func<T> ask)
    {
        try
        {
            return ask();
        }
        catch (Exception e) when (FailureOf(e, name) is StoreUnavailableException failure)
        {
            throw failure;
        }
    }

    /// <inheritdoc cref="Ask{T}"/>
    private void Ask(string name, Action ask) => Ask(name, () =>
    {
        ask();
        return true;
    });

    /// <inheritdoc cref="Ask{T}"/>
    private async Task<T> AskAsync<T>(string name, Func<Task<T>> ask)
    {
        try
        {
            return await ask();
        }
        catch (Exception e) when (FailureOf(e, name) is StoreUnavailableException failure)
        {
            throw failure;
        }
    }

    private StoreStream Translated(FileStream file, string name) => new(file, (e, _) => FailureOf(e, name));

    // A folder that may not be written now may not be later either; a disk that is full, busy or away is another matter.
    private StoreUnavailableException? FailureOf(Exception exception, string name) => exception switch
    {
        StoreUnavailableException => null,
        IOException => new StoreUnavailableException(_folder, name, exception.Message, mayPass: true, exception),
        UnauthorizedAccessException => new StoreUnavailableException(_folder, name, exception.Message, mayPass: false, exception),
        _ => null,
    };

    private string NewWorkPath() => Path.Combine(_workFolder, $"{ProcessIdentity.Current}.{Guid.NewGuid():n}.tmp");

    private string PathOf(string name) => Path.Combine(_folder, name.Replace('/', Path.DirectorySeparatorChar));

    private InvalidInputException CannotWrite(Exception exception) =>
        new(FaultKinds.CannotWrite, _option, $"The folder '{_folder}' cannot be written to ({exception.Message}). Name one that can.");
}
