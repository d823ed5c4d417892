using System.Security.Cryptography;

namespace HeadPatching.Cli.Hub;

/// <summary>Hashes of files.</summary>
internal static class FileHash
{
    /// <summary>The SHA-256 of a file, in lower-case hex.</summary>
    public static async Task<string> Sha256Async(string path, CancellationToken cancellationToken)
    {
        await using FileStream stream = File.OpenRead(path);
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, cancellationToken));
    }
}
