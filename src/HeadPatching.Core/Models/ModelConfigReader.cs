using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models.Families;
using HeadPatching.Core.Models.Families.Configs;

namespace HeadPatching.Core.Models;

/// <summary>Reads a model's <c>config.json</c>, in the form Hugging Face's transformers writes it.</summary>
public static class ModelConfigReader
{
    /// <summary>The file's name in a model folder.</summary>
    internal const string FileName = "config.json";

    /// <summary>Models that people will try, and why they cannot be run.</summary>
    private static readonly (string[] Types, string Why)[] Others =
    [
        (
            ["mixtral", "qwen2_moe", "qwen3_moe", "qwen3_next", "olmoe", "phimoe", "granitemoe", "deepseek_v2", "deepseek_v3", "dbrx", "jetmoe", "llama4", "llama4_text", "glm4_moe", "ernie4_5_moe"],
            ": its experts are others than gpt-oss's"),
        (
            ["mamba", "mamba2", "falcon_mamba", "jamba", "bamba", "zamba", "zamba2", "recurrent_gemma", "rwkv", "xlstm", "nemotron_h", "granitemoehybrid", "falcon_h1", "lfm2"],
            ": it has state-space or recurrent layers, in which there are no heads to patch"),
        (
            ["bert", "roberta", "distilbert", "albert", "electra", "deberta", "deberta-v2", "modernbert", "xlm-roberta", "t5", "mt5", "umt5", "bart", "mbart", "pegasus", "marian", "whisper", "t5gemma"],
            ": it is, or has, an encoder, whose positions see those after them"),
    ];

    /// <summary>Reads the config.json of a model folder.</summary>
    /// <exception cref="InvalidInputException">
    /// The folder or the file is missing, the file is not JSON, the architecture is not supported, or fields are missing or cannot be;
    /// carries every fault.
    /// </exception>
    public static ModelConfig Read(string folder)
    {
        ModelFolder.CheckExists(folder);
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new InvalidInputException(
                FaultKinds.NotFound,
                path,
                "The model folder has no config.json; name the folder that holds the model's config.json and weights.");
        }

        return ReadFile(path);
    }

    /// <summary>Reads a config.json that need not stand in a model folder.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="InvalidInputException">
    /// The file cannot be read or is not JSON, the architecture is not supported, or fields are missing or cannot be; carries every fault.
    /// </exception>
    public static ModelConfig ReadFile(string path) => StrictJson.ReadFile(path, root => Read(root, path));

    /// <summary>What a model folder's config.json names as its architecture; null where there is no config.json, or nothing named in it.</summary>
    /// <exception cref="InvalidInputException">The file cannot be read or is not JSON.</exception>
    internal static string? ModelType(string folder)
    {
        var path = Path.Combine(folder, FileName);
        return !File.Exists(path) ? null
            : StrictJson.ReadFile(path, root => root.TryGetProperty("model_type", out var type) && type.ValueKind == JsonValueKind.String ? type.GetString() : null);
    }

    private static ModelConfig Read(JsonElement root, string path)
    {
        var supported = $"supported: {string.Join(", ", ModelFamily.All.Keys.Order(StringComparer.Ordinal))}";
        if (!root.TryGetProperty("model_type", out var type) || type.ValueKind != JsonValueKind.String)
        {
            throw new InvalidInputException(FaultKinds.Missing, path, $"model_type is missing; it names the architecture ({supported}).");
        }

        if (!ModelFamily.All.TryGetValue(type.GetString()!, out var family))
        {
            string why = Others.FirstOrDefault(other => other.Types.Contains(type.GetString()!)).Why ?? "";
            throw new InvalidInputException(
                FaultKinds.UnsupportedModel, path, $"model_type {Untrusted.Show(type.GetString()!)} is not supported{why} ({supported}).");
        }

        return family.ReadConfig(new ConfigFields(root, path));
    }
}
