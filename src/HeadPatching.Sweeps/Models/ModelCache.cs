using System.Globalization;
using System.Security.Cryptography;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Sweeps.Storage;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace HeadPatching.Sweeps.Models;

/// <summary>
/// A folder on this machine for models of the store, bounded in size. Each content has a folder <c>VERSION</c>, which comes to its place
/// whole by a rename, and a file <c>VERSION.lock</c>: who reads the folder holds it shared, who writes or deletes the folder holds it alone.
/// The operating system gives up the locks of a process that dies, so any number of threads and processes may share the cache.
/// </summary>
public sealed partial class ModelCache
{
    /// <summary>The bound where nothing else is said, in GiB.</summary>
    public const double DefaultGiB = 32;

    private const string PartSuffix = ".part";
    private const string LockSuffix = ".lock";
    private const double BytesPerGiB = 1 << 30;
    private static readonly TimeSpan LockInterval = TimeSpan.FromMilliseconds(100);

    // What opening a file says that another has locked: Windows, Linux, macOS. Anything else that is wrong with the disk is thrown.
    private static readonly int[] HeldElsewhere = [unchecked((int)0x80070020), 11, 35];

    private readonly string _folder;
    private readonly long _limit;
    private readonly string _limitSetting;
    private readonly ILogger _logger;

    /// <summary>Names the cache; the folder is made when it is first needed.</summary>
    /// <param name="folder">The folder, of which nothing else must make use; null: one under the user's own data.</param>
    /// <param name="gib">How much it may hold, in GiB.</param>
    /// <param name="limitSetting">What the user calls that bound; the fault names it.</param>
    /// <param name="logger">Where it says what it downloads and deletes; null: nowhere.</param>
    public ModelCache(string? folder = null, double gib = DefaultGiB, string limitSetting = "model cache", ILogger? logger = null)
    {
        _folder = Path.GetFullPath(folder ?? DefaultFolder());
        _limit = (long)(gib * BytesPerGiB);
        _limitSetting = limitSetting;
        _logger = logger ?? NullLogger.Instance;
        DeleteLeftovers();
    }

    /// <summary>The model's folder, downloaded where it is not here yet or is not what was uploaded.</summary>
    /// <param name="store">The store that the model is in.</param>
    /// <param name="named">The model.</param>
    /// <param name="cancellationToken">Ends the call; a half download goes.</param>
    /// <returns>The folder, which nobody deletes before this is disposed of.</returns>
    /// <exception cref="InvalidInputException">The model is larger than the cache may be.</exception>
    /// <exception cref="InvalidDataException">What was downloaded is not what was uploaded.</exception>
    /// <exception cref="IOException">There is no room beside the models in use; worth a later try.</exception>
    public async Task<LocatedModel> FetchAsync(IArtifactStore store, NamedModel named, CancellationToken cancellationToken = default)
    {
        StoredModel model = named.Model;
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

    /// <summary>Deletes the half downloads of processes that died: nobody holds their locks.</summary>
    private void DeleteLeftovers()
    {
        try
        {
            foreach (string part in Directory.Exists(_folder) ? Directory.GetDirectories(_folder, "*" + PartSuffix) : [])
            {
                using FileStream? alone = TryLock(Path.GetFileNameWithoutExtension(part), FileShare.None);
                if (alone is not null)
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
        Delete(part); // a killed process left it
        try
        {
            await ReserveAsync(named.Model, part, cancellationToken);
            DownloadStarted(_logger, named.Name, named.Model.Bytes);
            foreach (StoredModelFile file in named.Model.Files)
            {
                await DownloadAsync(store, named, file, Path.Combine(part, file.Name), cancellationToken);
            }

            Directory.Move(part, folder);
        }
        catch
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

    private static async Task DownloadAsync(IArtifactStore store, NamedModel named, StoredModelFile file, string path, CancellationToken cancellationToken)
    {
        await using Stream stored = await store.OpenReadAsync(named.Model.Artifact(named.Name, file.Name), cancellationToken)
            ?? throw NotAsUploaded(named.Name, $"{file.Name} is missing");
        await using var local = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 20];
        long length = 0;
        int read;
        while ((read = await stored.ReadAsync(buffer, cancellationToken)) > 0)
        {
            length += read;
            if (length > file.Length)
            {
                break; // more than there is room for
            }

            hash.AppendData(buffer, 0, read);
            await local.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
        }

        if (length != file.Length || Convert.ToHexStringLower(hash.GetHashAndReset()) != file.Sha256)
        {
            throw NotAsUploaded(named.Name, $"{file.Name} has another length or SHA-256");
        }

        local.Flush(flushToDisk: true); // before the rename: after a power cut the folder must not stand without its content
    }

    /// <summary>Makes room by deleting what was not used longest, and takes it: the files are there in their full length before they are filled.</summary>
    private async Task ReserveAsync(StoredModel model, string part, CancellationToken cancellationToken)
    {
        FileStream? room;
        while ((room = TryLock("room", FileShare.None)) is null)
        {
            await Task.Delay(LockInterval, cancellationToken);
        }

        using (room)
        {
            List<DirectoryInfo> others = [.. new DirectoryInfo(_folder).EnumerateDirectories().OrderBy(other => other.LastWriteTimeUtc)];
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

            Directory.CreateDirectory(part);
            foreach (StoredModelFile file in model.Files)
            {
                using FileStream reserved = File.Create(Path.Combine(part, file.Name));
                reserved.SetLength(file.Length);
            }
        }
    }

    private static long SizeOf(DirectoryInfo folder)
    {
        try
        {
            return folder.EnumerateFiles().Sum(file => file.Length);
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

    private static InvalidDataException NotAsUploaded(string name, string how) =>
        new($"The model '{name}' in the store is not what was uploaded: {how}. Upload it again: headpatch model push FOLDER NAME --replace.");

    private static string DefaultFolder()
    {
        string data = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return Path.Combine(data.Length > 0 ? data : Path.GetTempPath(), "headpatching", "models");
    }

    [LoggerMessage(20, LogLevel.Information, "Model {Model} is being downloaded from the store: {Bytes} bytes")]
    private static partial void DownloadStarted(ILogger logger, string model, long bytes);

    [LoggerMessage(21, LogLevel.Information, "Model cache: {Folder} is deleted to make room")]
    private static partial void Evicted(ILogger logger, string folder);
}
