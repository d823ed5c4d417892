using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models;

/// <summary>Tells models apart by what is in their files, wherever the folder stands and whatever it is called.</summary>
public static class ModelFingerprint
{
    private const int BufferBytes = 1 << 20;

    /// <summary>
    /// Fingerprints made by this process. The key holds every file's path, length and time of last writing: hashing gigabytes again for
    /// each sweep of the same model would be waste.
    /// </summary>
    private static readonly ConcurrentDictionary<string, string> Known = new(StringComparer.Ordinal);

    /// <summary>The SHA-256, in lower-case hex, of config.json and the weight files: names, lengths, contents.</summary>
    /// <exception cref="InvalidInputException">The folder has no config.json or no sound weights.</exception>
    public static string Compute(string folder)
    {
        IReadOnlyList<string> weightNames;
        using (var weights = WeightFiles.Open(folder))
        {
            weightNames = weights.FileNames;
        }

        var files = weightNames
            .Prepend(ModelConfigReader.FileName)
            .Select(name => new FileInfo(Path.GetFullPath(Path.Combine(folder, name))))
            .ToList();
        if (!files[0].Exists)
        {
            throw new InvalidInputException(FaultKinds.NotFound, files[0].FullName, "The model folder has no config.json.");
        }

        var key = string.Join('\0', files.Select(file => $"{file.FullName}\0{file.Length}\0{file.LastWriteTimeUtc.Ticks}"));
        return Known.GetOrAdd(key, _ => Hash(files));
    }

    private static string Hash(IEnumerable<FileInfo> files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[BufferBytes];
        Span<byte> number = stackalloc byte[sizeof(long)];
        foreach (var file in files)
        {
            using var stream = file.OpenRead();

            // Lengths before contents: bytes cannot move from one file or name to the next unseen.
            var name = Encoding.UTF8.GetBytes(file.Name);
            BinaryPrimitives.WriteInt64LittleEndian(number, name.Length);
            hash.AppendData(number);
            hash.AppendData(name);
            BinaryPrimitives.WriteInt64LittleEndian(number, stream.Length);
            hash.AppendData(number);
            int read;
            while ((read = stream.Read(buffer)) > 0)
            {
                hash.AppendData(buffer.AsSpan(0, read));
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
