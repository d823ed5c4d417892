using System.Text.Json.Serialization;

namespace HeadPatching.Sweeps.Models;

/// <summary>A file of a model in the store.</summary>
/// <param name="Name">Its name in the model's folder.</param>
/// <param name="Length">Its length in bytes.</param>
/// <param name="Sha256">The SHA-256 of its content, in lower-case hex.</param>
public sealed record StoredModelFile(string Name, long Length, string Sha256)
{
    /// <summary>The length of a block; a file's last one is shorter.</summary>
    public const int BlockBytes = 8 << 20;

    /// <summary>The SHA-256 of each of its blocks, by which any part of it can be read and is known to be right; null in manifests of before there were any.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Blocks { get; init; }

    /// <summary>Whether it holds weights.</summary>
    [JsonIgnore]
    public bool IsWeights => Name.EndsWith(".safetensors", StringComparison.Ordinal);

    /// <summary>Whether there is a hash for every block.</summary>
    [JsonIgnore]
    public bool HasBlocks => Blocks is not null && Blocks.Count == (Length + BlockBytes - 1) / BlockBytes;
}
