using System.Security.Cryptography;
using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Models;

/// <summary>A model folder on its way into the store. The manifest comes last, so a half upload is no model; the same call again goes on.</summary>
public sealed class ModelUpload
{
    private static readonly string[] TokenizerFiles =
        ["vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

    private readonly string _folder;
    private readonly string _name;

    private ModelUpload(string folder, string name, StoredModel model)
    {
        _folder = folder;
        _name = name;
        Model = model;
    }

    /// <summary>What is uploaded.</summary>
    public StoredModel Model { get; }

    /// <summary>Sees that the folder can be swept and the name can be used, and hashes the files.</summary>
    /// <exception cref="InvalidInputException">It cannot; carries the faults.</exception>
    public static async Task<ModelUpload> PrepareAsync(string folder, string name, DateTimeOffset now, CancellationToken cancellationToken = default)
    {
        if (!ArtifactName.IsValidSegment(name))
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption,
                "NAME",
                $"{Untrusted.Show(name)} cannot be a model's name in the store: 1 to 100 of a-z, 0-9, '.', '_' and '-', not beginning with '.' or '-'. {Suggestion(name)}");
        }

        ModelFolderSummary summary = ModelFolder.Inspect(folder);
        TextTokenizer.Load(folder)?.TryOut();
        string[] names = ["config.json", .. summary.WeightFiles, .. TokenizerFiles.Where(file => File.Exists(Path.Combine(folder, file)))];
        if (Array.Find(names, file => !ArtifactName.IsValidSegment(file)) is string invalid)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption, Path.Combine(folder, invalid), "The file cannot keep its name in the store, which knows only a-z, 0-9, '.', '_' and '-', and at most 100 of them. Rename it, also in the index.");
        }

        var files = new List<StoredModelFile>();
        foreach (string file in names)
        {
            files.Add(await HashAsync(folder, file, cancellationToken));
        }

        return new ModelUpload(folder, name, new StoredModel(ModelFingerprint.Compute(folder), ModelShape.Of(summary), files, now));
    }

    /// <summary>One pass over a file, for the hash of all of it and that of each block.</summary>
    private static async Task<StoredModelFile> HashAsync(string folder, string file, CancellationToken cancellationToken)
    {
        await using FileStream stream = File.OpenRead(Path.Combine(folder, file));
        using var whole = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var blocks = new List<string>();
        byte[] block = new byte[Math.Min(StoredModelFile.BlockBytes, stream.Length)];
        long length = 0;
        int read;
        while (block.Length > 0 && (read = await stream.ReadAtLeastAsync(block, block.Length, throwOnEndOfStream: false, cancellationToken)) > 0)
        {
            whole.AppendData(block, 0, read);
            blocks.Add(Convert.ToHexStringLower(SHA256.HashData(block.AsSpan(0, read))));
            length += read;
        }

        return new StoredModelFile(file, length, Convert.ToHexStringLower(whole.GetHashAndReset())) { Blocks = blocks };
    }

    /// <summary>Uploads the files that the store does not have yet, then the manifest.</summary>
    /// <param name="store">The store.</param>
    /// <param name="replace">Whether another model of the name may go.</param>
    /// <param name="uploaded">Told how many bytes of the model are there, each time some more are.</param>
    /// <param name="cancellationToken">Ends the upload; whole files stay.</param>
    /// <returns>False where the very same model was there already.</returns>
    /// <exception cref="InvalidInputException">There is another model of this name, or a file changed meanwhile.</exception>
    public async Task<bool> RunAsync(IArtifactStore store, bool replace, Action<long>? uploaded = null, CancellationToken cancellationToken = default)
    {
        string manifest = StoredModel.Manifest(_name);
        StoredText? known = await store.ReadTextAsync(manifest, cancellationToken);
        StoredModel? old = known is null ? null : Read(known.Text);
        if (old?.Version == Model.Version && old.HasBlocks)
        {
            return false;
        }

        if (known is not null && !replace && old?.Version != Model.Version) // of the same content without hashes of blocks the manifest alone is written anew
        {
            throw Taken(old is null ? "whose manifest cannot be read" : old.Fingerprint == Model.Fingerprint ? "with another tokenizer" : $"with the fingerprint {old.Fingerprint}");
        }

        await UploadAsync(store, uploaded, cancellationToken);
        if (!await store.TryReplaceTextAsync(manifest, JsonSerializer.Serialize(Model, ResultJson.Compact), known?.ETag, cancellationToken))
        {
            return await VersionAsync(store, cancellationToken) == Model.Version
                ? false
                : throw new InvalidInputException(
                    FaultKinds.InvalidOption, "NAME", $"Another model '{_name}' was put into the store while this one was uploaded. Look at which one is wanted; the same command again, with --replace, puts this one there.");
        }

        // An upload that replaced this very model a moment ago may just have deleted its files, which this one found and did not upload.
        await UploadAsync(store, uploaded: null, cancellationToken);
        if (old is not null && await VersionAsync(store, cancellationToken) != old.Version)
        {
            await store.DeletePrefixAsync(old.Folder(_name), cancellationToken);
        }

        return true;
    }

    /// <summary>Uploads the files that the store does not have.</summary>
    private async Task UploadAsync(IArtifactStore store, Action<long>? uploaded, CancellationToken cancellationToken)
    {
        long done = 0;
        foreach (StoredModelFile file in Model.Files)
        {
            long before = done;
            await store.WriteIfAbsentAsync(Model.Artifact(_name, file.Name), (stream, stop) => CopyAsync(file, stream, count => uploaded?.Invoke(before + count), stop), cancellationToken);
            done += file.Length;
            uploaded?.Invoke(done);
        }
    }

    /// <summary>Which content the store has under the name; null where none that can be read.</summary>
    private async Task<string?> VersionAsync(IArtifactStore store, CancellationToken cancellationToken) =>
        await store.ReadTextAsync(StoredModel.Manifest(_name), cancellationToken) is StoredText text ? Read(text.Text)?.Version : null;

    private async Task CopyAsync(StoredModelFile file, Stream stream, Action<long> copied, CancellationToken cancellationToken)
    {
        string path = Path.Combine(_folder, file.Name);
        await using FileStream local = File.OpenRead(path);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 20];
        long length = 0;
        int read;
        while ((read = await local.ReadAsync(buffer, cancellationToken)) > 0)
        {
            hash.AppendData(buffer, 0, read);
            await stream.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            length += read;
            copied(length);
        }

        if (Convert.ToHexStringLower(hash.GetHashAndReset()) != file.Sha256)
        {
            throw new InvalidInputException(FaultKinds.InvalidWeights, path, "The file changed while it was uploaded. Upload again when nothing writes to the folder.");
        }
    }

    private InvalidInputException Taken(string how) =>
        new(FaultKinds.InvalidOption, "NAME", $"The store has another model '{_name}', {how}. Choose another name, or give --replace to replace it.");

    private static StoredModel? Read(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<StoredModel>(text, ResultJson.Compact) is { IsSound: true } model ? model : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string Suggestion(string name)
    {
        string possible = string.Concat(name.ToLowerInvariant().Select(c => ArtifactName.IsValidSegment($"a{c}a") ? c : '-')).Trim('-', '.');
        return ArtifactName.IsValidSegment(possible) ? $"Take '{possible}'." : "";
    }
}
