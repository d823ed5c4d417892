using System.Globalization;
using System.Security.Cryptography;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Sweeps.Storage;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace HeadPatching.Sweeps.Models;

/// <summary>
/// A folder on this machine for models of the store, bounded in size; of size 0 there is none, and weights stay in the store (<see cref="StoredWeights"/>). Each content has a folder <c>VERSION</c>, which comes to its place
/// whole by a rename, and a file <c>VERSION.lock</c>: who reads the folder holds it shared, who writes or deletes the folder holds it alone.
/// The operating system gives up the locks of a process that dies, so any number of threads and processes may share the cache. A download
/// that ends half way, its process too, leaves <c>VERSION.part</c>, and the next one goes on from there; every file's hash is held to the manifest's at the end.
/// </summary>
public sealed partial class ModelCache
{
    /// <summary>The bound where nothing else is said, in GiB.</summary>
    public const double DefaultGiB = 32;

    private const string PartSuffix = ".part";
    private const string LockSuffix = ".lock";
    private const string Reserved = ".reserved"; // no model has a file of this name; as long as the whole model, and takes no room itself
    private const int PieceBytes = 4 << 20;
    private static readonly TimeSpan PartsAreKept = TimeSpan.FromDays(7);
    private const double BytesPerGiB = 1 << 30;
    private static readonly TimeSpan LockInterval = TimeSpan.FromMilliseconds(100);

    // What opening a file says that another has locked: Windows, Linux, macOS. Anything else that is wrong with the disk is thrown.
    private static readonly int[] HeldElsewhere = [unchecked((int)0x80070020), 11, 35];

    private readonly string _folder;
    private readonly long _limit;
    private readonly string _limitSetting;
    private readonly ILogger _logger;
    private readonly IProgress<ModelDownload>? _progress;

    /// <summary>Names the cache; the folder is made when it is first needed.</summary>
    /// <param name="folder">The folder, of which nothing else must make use; null: one under the user's own data.</param>
    /// <param name="gib">How much it may hold, in GiB; 0: no model, and weights are read from the store into memory.</param>
    /// <param name="limitSetting">What the user calls that bound; the fault names it.</param>
    /// <param name="logger">Where it says what it downloads and deletes; null: nowhere.</param>
    /// <param name="progress">Told with every piece how far a download is.</param>
    public ModelCache(
        string? folder = null, double gib = DefaultGiB, string limitSetting = "model cache", ILogger? logger = null, IProgress<ModelDownload>? progress = null)
    {
        _progress = progress;
        _folder = Path.GetFullPath(folder ?? DefaultFolder());
        _limit = (long)(gib * BytesPerGiB);
        _limitSetting = limitSetting;
        _logger = logger ?? NullLogger.Instance;
        DeleteLeftovers();
    }

    /// <summary>The model's folder, downloaded where it is not here yet or is not what was uploaded.</summary>
    /// <param name="store">The store that the model is in.</param>
    /// <param name="named">The model.</param>
    /// <param name="cancellationToken">Ends the call; the next one goes on.</param>
    /// <returns>The folder, which nobody deletes before this is disposed of.</returns>
    /// <exception cref="InvalidInputException">The model is larger than the cache may be; or there is none, and the model was uploaded without hashes of its blocks.</exception>
    /// <exception cref="InvalidDataException">What was downloaded is not what was uploaded.</exception>
    /// <exception cref="IOException">There is no room beside the models in use; worth a later try.</exception>
    public async Task<LocatedModel> FetchAsync(IArtifactStore store, NamedModel named, CancellationToken cancellationToken = default)
    {
        StoredModel model = named.Model;
        if (_limit == 0)
        {
            return await StoredWeights.LocateAsync(store, named, cancellationToken);
        }

        if (model.Bytes > _limit)
        {
            throw new InvalidInputException(
                FaultKinds.TooLarge,
                _limitSetting,
                string.Create(CultureInfo.InvariantCulture, $"The model '{named.Name}' has {model.Bytes / BytesPerGiB:F2} GiB; the cache of models on this machine may hold {_limit / BytesPerGiB:F2} GiB."));
        }

        Directory.CreateDirectory(_folder);
        string folder = Path.Combine(_folder, model.Version);
        while (true)
        {
            FileStream? reading = TryLock(model.Version, FileShare.Read);
            if (reading is not null && IsWhole(folder, model))
            {
                Directory.SetLastWriteTimeUtc(folder, DateTime.UtcNow); // the time of last use
                return new LocatedModel(named.Name, folder, reading);
            }

            reading?.Dispose();
            using (FileStream? alone = TryLock(model.Version, FileShare.None))
            {
                if (alone is not null)
                {
                    // Another may have downloaded it between the two locks.
                    if (!IsWhole(folder, model))
                    {
                        await DownloadAsync(store, named, folder, cancellationToken);
                    }

                    continue;
                }
            }

            await Task.Delay(LockInterval, cancellationToken); // another is downloading it
        }
    }

    /// <summary>Deletes half downloads that nobody went on with.</summary>
    private void DeleteLeftovers()
    {
        try
        {
            foreach (string part in Directory.Exists(_folder) ? Directory.GetDirectories(_folder, "*" + PartSuffix) : [])
            {
                using FileStream? alone = TryLock(Path.GetFileNameWithoutExtension(part), FileShare.None);
                if (alone is not null && DateTime.UtcNow - LastWritten(part) > PartsAreKept)
                {
                    Delete(part);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // They are another user's, or another process is at them. They are in nobody's way.
        }
    }

    /// <summary>Whether the folder holds what was uploaded. Each process reads the weights for that once.</summary>
    private static bool IsWhole(string folder, StoredModel model)
    {
        try
        {
            return Directory.Exists(folder)
                && model.Files.All(file => new FileInfo(Path.Combine(folder, file.Name)) is { Exists: true } found && found.Length == file.Length)
                && ModelFingerprint.Compute(folder) == model.Fingerprint;
        }
        catch (InvalidInputException)
        {
            return false;
        }
    }

    /// <summary>Downloads a model; its lock is held alone.</summary>
    private async Task DownloadAsync(IArtifactStore store, NamedModel named, string folder, CancellationToken cancellationToken)
    {
        string part = folder + PartSuffix;
        Delete(folder);
        try
        {
            await CheckLengthsAsync(store, named, cancellationToken);
            await ReserveAsync(named.Model, part, cancellationToken);
            DownloadStarted(_logger, named.Name, named.Model.Bytes);
            long before = 0, said = 0;
            foreach (StoredModelFile file in named.Model.Files)
            {
                await DownloadAsync(store, named, file, Path.Combine(part, file.Name), Reached, cancellationToken);
                before += file.Length;
            }

            File.Delete(Path.Combine(part, Reserved));
            Directory.Move(part, folder);

            void Reached(long bytes)
            {
                _progress?.Report(new ModelDownload(named.Name, before + bytes, named.Model.Bytes));

                // A line for each tenth.
                if ((before + bytes) * 10 / named.Model.Bytes is long tenths && tenths > said)
                {
                    said = tenths;
                    DownloadReached(_logger, named.Name, tenths * 10, before + bytes);
                }
            }
        }
        catch (InvalidDataException)
        {
            Delete(part);
            throw;
        }

        if (!IsWhole(folder, named.Model))
        {
            Delete(folder);
            throw NotAsUploaded(named.Name, "its fingerprint is another");
        }
    }

    /// <summary>Sees that the store has every file, in its length.</summary>
    private static async Task CheckLengthsAsync(IArtifactStore store, NamedModel named, CancellationToken cancellationToken)
    {
        var lengths = new Dictionary<string, long>(StringComparer.Ordinal);
        await foreach (ArtifactInfo artifact in store.ListAsync(named.Model.Folder(named.Name), cancellationToken))
        {
            lengths[artifact.Name] = artifact.Length;
        }

        foreach (StoredModelFile file in named.Model.Files)
        {
            if (!lengths.TryGetValue(named.Model.Artifact(named.Name, file.Name), out long length))
            {
                throw NotAsUploaded(named.Name, $"{file.Name} is missing");
            }

            if (length != file.Length)
            {
                throw NotAsUploaded(named.Name, $"{file.Name} has {length} bytes instead of {file.Length}");
            }
        }
    }

    /// <summary>Downloads a file by several requests at once, from where an earlier download of it ended.</summary>
    private static async Task DownloadAsync(
        IArtifactStore store, NamedModel named, StoredModelFile file, string path, Action<long> reached, CancellationToken cancellationToken)
    {
        string artifact = named.Model.Artifact(named.Name, file.Name);
        await using var local = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, useAsync: true);
        bool goesOn = local.Length > 0;
        while (true)
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            long length = await HashAsync(local, hash, cancellationToken);
            await PiecesInOrder.CopyAsync(length, file.Length, PieceBytes, FetchAsync, AppendAsync, cancellationToken);
            if (length == file.Length && Convert.ToHexStringLower(hash.GetHashAndReset()) == file.Sha256)
            {
                local.Flush(flushToDisk: true); // before the rename: after a power cut the folder must not stand without its content
                return;
            }

            if (!goesOn)
            {
                throw NotAsUploaded(named.Name, $"{file.Name} has another SHA-256");
            }

            goesOn = false; // what there was may have been torn by a power cut
            local.SetLength(0);

            async Task AppendAsync(ReadOnlyMemory<byte> piece, CancellationToken stop)
            {
                hash.AppendData(piece.Span);
                await local.WriteAsync(piece, stop);
                length += piece.Length;
                reached(length);
            }
        }

        async Task FetchAsync(long from, Memory<byte> into, CancellationToken stop)
        {
            if (!await store.ReadPiecesAsync(artifact, [new ArtifactPiece(from, into)], stop))
            {
                throw NotAsUploaded(named.Name, $"{file.Name} is missing, or became shorter while it was read");
            }
        }
    }

    /// <summary>Hashes what a file holds; its position is its end then.</summary>
    /// <returns>Its length.</returns>
    private static async Task<long> HashAsync(FileStream file, IncrementalHash hash, CancellationToken cancellationToken)
    {
        file.Position = 0;
        byte[] buffer = new byte[1 << 20];
        int read;
        while ((read = await file.ReadAsync(buffer, cancellationToken)) > 0)
        {
            hash.AppendData(buffer, 0, read);
        }

        return file.Position;
    }

    /// <summary>Makes room by deleting what was not used longest, and takes it. Of an earlier half download the model's own files stay.</summary>
    private async Task ReserveAsync(StoredModel model, string part, CancellationToken cancellationToken)
    {
        FileStream? room;
        while ((room = TryLock("room", FileShare.None)) is null)
        {
            await Task.Delay(LockInterval, cancellationToken);
        }

        using (room)
        {
            List<DirectoryInfo> others = [.. new DirectoryInfo(_folder).EnumerateDirectories().Where(other => other.FullName != part).OrderBy(other => other.LastWriteTimeUtc)];
            long held = others.Sum(SizeOf);
            foreach (DirectoryInfo other in others.TakeWhile(_ => held + model.Bytes > _limit))
            {
                using FileStream? alone = TryLock(Path.GetFileNameWithoutExtension(other.Name), FileShare.None);
                if (alone is not null)
                {
                    held -= SizeOf(other);
                    Evicted(_logger, other.Name);
                    Delete(other.FullName);
                }
            }

            if (held + model.Bytes > _limit)
            {
                throw new IOException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The cache of models on this machine may hold {_limit / BytesPerGiB:F2} GiB, and the models in use leave no room for another. Raise {_limitSetting}."));
            }

            foreach (FileSystemInfo entry in Directory.CreateDirectory(part).EnumerateFileSystemInfos())
            {
                if (entry is DirectoryInfo left)
                {
                    left.Delete(recursive: true);
                }
                else if (!model.Files.Any(file => file.Name == entry.Name && ((FileInfo)entry).Length <= file.Length))
                {
                    entry.Delete();
                }
            }

            using FileStream reserved = File.Create(Path.Combine(part, Reserved));
            reserved.SetLength(model.Bytes);
        }
    }

    private static DateTime LastWritten(string folder) =>
        new DirectoryInfo(folder).EnumerateFileSystemInfos().Select(entry => entry.LastWriteTimeUtc).Append(Directory.GetLastWriteTimeUtc(folder)).Max();

    /// <summary>What a folder takes, or will when its download is done.</summary>
    private static long SizeOf(DirectoryInfo folder)
    {
        try
        {
            return new FileInfo(Path.Combine(folder.FullName, Reserved)) is { Exists: true } reserved ? reserved.Length : folder.EnumerateFiles().Sum(file => file.Length);
        }
        catch (DirectoryNotFoundException)
        {
            return 0; // its download ended this moment: renamed, or given up
        }
    }

    /// <summary>Deletes a model's folder, config.json first: then a process that is killed half way leaves none that looks like a model.</summary>
    private static void Delete(string folder)
    {
        if (Directory.Exists(folder))
        {
            File.Delete(Path.Combine(folder, "config.json"));
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The lock on a version: shared by readers, or alone; null where another holds it otherwise. Lock files stay: they are empty.</summary>
    private FileStream? TryLock(string version, FileShare share)
    {
        try
        {
            FileAccess access = share == FileShare.None ? FileAccess.ReadWrite : FileAccess.Read;
            return new FileStream(Path.Combine(_folder, version + LockSuffix), FileMode.OpenOrCreate, access, share);
        }
        catch (IOException e) when (HeldElsewhere.Contains(e.HResult))
        {
            return null;
        }
    }

    /// <summary>What to throw where the store does not hold what was uploaded.</summary>
    internal static InvalidDataException NotAsUploaded(string name, string how) =>
        new($"The model '{name}' in the store is not what was uploaded: {how}. Upload it again: headpatch model push FOLDER NAME --replace.");

    private static string DefaultFolder()
    {
        string data = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return Path.Combine(data.Length > 0 ? data : Path.GetTempPath(), "headpatching", "models");
    }

    [LoggerMessage(20, LogLevel.Information, "Model {Model} is being downloaded from the store: {Bytes} bytes")]
    private static partial void DownloadStarted(ILogger logger, string model, long bytes);

    [LoggerMessage(22, LogLevel.Information, "Model {Model}: {Percent} % are here, {Bytes} bytes")]
    private static partial void DownloadReached(ILogger logger, string model, long percent, long bytes);

    [LoggerMessage(21, LogLevel.Information, "Model cache: {Folder} is deleted to make room")]
    private static partial void Evicted(ILogger logger, string folder);
}
