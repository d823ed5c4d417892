using System.Text.Json.Serialization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Cli.Commands;

/// <summary>What <c>headpatch model check</c> says of a model that can be swept.</summary>
internal sealed class CheckedModel
{
    private CheckedModel(ModelConfig config) => Config = config;

    /// <summary>The model's shape.</summary>
    [JsonIgnore]
    public ModelConfig Config { get; }

    /// <summary>Its family, such as <c>gpt2</c>.</summary>
    public string Family => Config.Family;

    /// <summary>Number of layers.</summary>
    public int Layers => Config.Layers;

    /// <summary>Attention heads a layer.</summary>
    public int Heads => Config.Heads;

    /// <summary>Key/value heads a layer.</summary>
    public int KeyValueHeads => Config.KeyValueHeads;

    /// <summary>d_model.</summary>
    public int Width => Config.Width;

    /// <summary>The most tokens of a prompt.</summary>
    public int Context => Config.Context;

    /// <summary>Number of token ids.</summary>
    public int Vocabulary => Config.Vocabulary;

    /// <summary>The token that begins texts; null where none does.</summary>
    public int? Bos => Config.BosId;

    /// <summary>Number of weights.</summary>
    public required long Parameters { get; init; }

    /// <summary>Bytes of the weights in memory, as float32.</summary>
    public long Float32Bytes => 4 * ModelFolder.Parameters(Config);

    /// <summary>The files of the weights; null of a config.json alone.</summary>
    public IReadOnlyList<string>? WeightFiles { get; init; }

    /// <summary>The tokenizer's tokens; null where there is none, or it cannot be used.</summary>
    public int? TokenizerTokens { get; init; }

    /// <summary>Why there is a tokenizer and texts cannot be swept all the same; null otherwise.</summary>
    public string? TokenizerProblem { get; init; }

    /// <summary>What is in its files (<see cref="ModelFingerprint"/>); null of a config.json alone.</summary>
    public string? Fingerprint { get; init; }

    /// <summary>Whether it is a config.json of a model that is not here yet.</summary>
    [JsonIgnore]
    public bool IsConfigAlone => WeightFiles is null;

    /// <summary>Checks a model.</summary>
    /// <param name="folder">Its folder, or a config.json alone.</param>
    /// <exception cref="InvalidInputException">It cannot be swept; carries the faults.</exception>
    public static CheckedModel Of(string folder)
    {
        if (File.Exists(folder) && Path.GetExtension(folder) == ".json")
        {
            ModelConfig alone = ModelConfigReader.ReadFile(folder);
            return new CheckedModel(alone) { Parameters = ModelFolder.Parameters(alone) };
        }

        ModelFolderSummary model = ModelFolder.Inspect(folder);
        TextTokenizer? tokenizer = TextTokenizer.Load(folder);
        string? problem = tokenizer is null ? null : Trial(tokenizer);
        return new CheckedModel(model.Config)
        {
            Parameters = model.Parameters,
            WeightFiles = model.WeightFiles,
            TokenizerTokens = problem is null ? tokenizer?.VocabularySize : null,
            TokenizerProblem = problem,
            Fingerprint = ModelFingerprint.Compute(folder),
        };
    }

    private static string? Trial(TextTokenizer tokenizer)
    {
        if (tokenizer.Unsupported is not null)
        {
            return tokenizer.Unsupported;
        }

        try
        {
            tokenizer.TryOut();
            return null;
        }
        catch (InvalidInputException e)
        {
            return e.Message;
        }
    }
}
