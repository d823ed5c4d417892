using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Models;

/// <summary>
/// A model in the store, as its manifest <c>models/NAME/model.json</c> says. The manifest is written last: without it there is no model. The
/// files lie below it in a folder that is named after their content, so that replacing a model never mixes two.
/// </summary>
/// <param name="Fingerprint">What <see cref="Core.Models.ModelFingerprint"/> says of the folder.</param>
/// <param name="Shape">The model's shape, for listings.</param>
/// <param name="Files">Its files: config.json, weights, tokenizer.</param>
/// <param name="PushedAt">When it was uploaded.</param>
public sealed record StoredModel(string Fingerprint, ModelShape Shape, IReadOnlyList<StoredModelFile> Files, DateTimeOffset PushedAt)
{
    /// <summary>The folder of all models.</summary>
    public const string Models = "models";

    /// <summary>The name of every manifest.</summary>
    public const string ManifestFile = "model.json";

    /// <summary>Tells contents apart, the tokenizer's too: from the names and hashes of all files.</summary>
    [JsonIgnore]
    public string Version => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Concat(
        Files.OrderBy(file => file.Name, StringComparer.Ordinal).Select(file => string.Create(CultureInfo.InvariantCulture, $"{file.Name}/{file.Length}/{file.Sha256}\n"))))))[..32];

    /// <summary>The size of all files, in bytes.</summary>
    [JsonIgnore]
    public long Bytes => Files.Sum(file => file.Length);

    /// <summary>Whether every file's name can be a name in a folder, and no more: the manifest is read from outside.</summary>
    [JsonIgnore]
    public bool IsSound => Files is { Count: > 0 } && Shape is not null && Fingerprint is not null
        && Files.All(file => ArtifactName.IsValidSegment(file.Name) && file.Length >= 0 && file.Sha256 is not null);

    /// <summary>Whether any part of its files can be read by itself and be known to be right.</summary>
    [JsonIgnore]
    public bool HasBlocks => Files.All(file => file.HasBlocks);

    /// <summary>The artifact of a model's manifest.</summary>
    public static string Manifest(string name) => $"{Models}/{name}/{ManifestFile}";

    /// <summary>The folder of this content in the store.</summary>
    /// <param name="name">The model's name.</param>
    public string Folder(string name) => $"{Models}/{name}/{Version}";

    /// <summary>The artifact of a file.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="file">The file's name.</param>
    public string Artifact(string name, string file) => $"{Folder(name)}/{file}";
}
