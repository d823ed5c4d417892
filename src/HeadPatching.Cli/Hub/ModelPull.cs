using System.Text.Json;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Faults;

namespace HeadPatching.Cli.Hub;

/// <summary>
/// Fetches a model's files into a folder. Each is downloaded beside its place, as <c>NAME.part</c>; when all are there and right they are
/// moved, config.json last, so that a folder with a config.json is whole.
/// </summary>
internal sealed class ModelPull
{
    private const string Config = "config.json";
    private const string Weights = "model.safetensors";
    private const int LongestName = 200; // a file system takes 255, and .part is put behind it
    private const string Index = "model.safetensors.index.json";
    private static readonly string[] Tokenizer =
        ["vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

    private readonly HubRepository _repository;
    private readonly string _folder;
    private readonly ByteProgress _progress;

    /// <summary>Makes the pull.</summary>
    public ModelPull(HubRepository repository, string folder, ByteProgress progress)
    {
        _repository = repository;
        _folder = folder;
        _progress = progress;
    }

    /// <summary>Fetches the files.</summary>
    /// <returns>Their names.</returns>
    /// <exception cref="InvalidInputException">The repository is not there, has no weights that can be read, or sends something else.</exception>
    public async Task<IReadOnlyList<string>> RunAsync(CancellationToken cancellationToken)
    {
        HubFile config = await _repository.FindAsync(Config, cancellationToken)
            ?? throw new InvalidInputException(FaultKinds.NotFound, "HUB_ID", "The repository has no config.json, or there is no such repository or revision.");
        HubFile weights = await _repository.FindAsync(Weights, cancellationToken) ?? await _repository.FindAsync(Index, cancellationToken)
            ?? throw new InvalidInputException(
                FaultKinds.NotFound, "HUB_ID", $"The repository has no safetensors: neither {Weights} nor {Index}. Weights in other forms can run code and are not fetched.");
        var tokenizer = new List<HubFile>();
        foreach (string name in Tokenizer)
        {
            if (await _repository.FindAsync(name, cancellationToken) is HubFile file)
            {
                tokenizer.Add(file);
            }
        }

        RefuseOthers([weights.Name, .. tokenizer.Select(file => file.Name)]);
        Directory.CreateDirectory(_folder);
        var files = new List<HubFile> { weights, config };
        await FetchAsync(weights, cancellationToken);
        if (weights.Name == Index)
        {
            foreach (string shard in Shards(PartOf(Index)))
            {
                HubFile file = await _repository.FindAsync(shard, cancellationToken)
                    ?? throw new InvalidInputException(FaultKinds.NotFound, Index, $"The repository lacks the shard {shard} that its index names.");
                await FetchAsync(file, cancellationToken);
                files.Insert(0, file);
            }
        }

        foreach (HubFile file in tokenizer)
        {
            await FetchAsync(file, cancellationToken);
            files.Insert(0, file);
        }

        await FetchAsync(config, cancellationToken);
        Place(files);
        return [.. files.Select(file => file.Name)];
    }

    /// <summary>Weights and tokenizers that are in the folder and not in the repository are another model's, and would be read as this one's.</summary>
    private void RefuseOthers(IReadOnlyCollection<string> own)
    {
        string[] others = [.. Tokenizer.Append(Weights).Except(own).Where(name => File.Exists(Path.Combine(_folder, name)))];
        if (others.Length > 0)
        {
            throw new InvalidInputException(
                FaultKinds.CannotWrite, "--to", $"'{_folder}' holds what the repository does not have, and is another model's: {string.Join(", ", others)}. Name an empty folder.");
        }
    }

    private async Task FetchAsync(HubFile file, CancellationToken cancellationToken)
    {
        if (file.Refusal is string refusal)
        {
            throw new InvalidInputException(FaultKinds.TooLarge, file.Name, refusal);
        }

        _progress.Begin(file.Name, file.Length ?? 0);
        string whole = Path.Combine(_folder, file.Name);
        if (file.Sha256 is not null && File.Exists(whole) && await FileHash.Sha256Async(whole, cancellationToken) == file.Sha256)
        {
            _progress.Reach(file.Length ?? 0); // from an earlier pull
            return;
        }

        await _repository.DownloadAsync(file, PartOf(file.Name), _progress.Reach, cancellationToken);
    }

    private void Place(List<HubFile> files)
    {
        List<HubFile> fresh = [.. files.Where(file => File.Exists(PartOf(file.Name)))];
        File.Delete(Path.Combine(_folder, Config)); // an older one must not stand beside half of the new files
        foreach (HubFile file in fresh)
        {
            File.Move(PartOf(file.Name), Path.Combine(_folder, file.Name), overwrite: true);
        }
    }

    private string PartOf(string name) => Path.Combine(_folder, name + ".part");

    /// <summary>The shards that an index names; it comes from outside and must not lead out of the folder.</summary>
    private static List<string> Shards(string index)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(index));
            List<string> shards = [.. document.RootElement.GetProperty("weight_map").EnumerateObject().Select(tensor => tensor.Value.GetString() ?? "").Distinct().Order(StringComparer.Ordinal)];
            if (shards.Count > 0 && shards.TrueForAll(IsShard))
            {
                return shards;
            }
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // Said below.
        }

        throw new InvalidInputException(
            FaultKinds.Malformed, Index, $"weight_map does not name .safetensors files of the same folder, with names of at most {LongestName} characters, for its tensors.");
    }

    private static bool IsShard(string name) =>
        name.Length <= LongestName && name.EndsWith(".safetensors", StringComparison.Ordinal) && name[0] != '.' && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');
}
