using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models.Families;

namespace HeadPatching.Core.Models;

/// <summary>Reads a model's <c>config.json</c>, in the form Hugging Face's transformers writes it.</summary>
public static class ModelConfigReader
{
    /// <summary>The file's name in a model folder.</summary>
    internal const string FileName = "config.json";

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

        return StrictJson.ReadFile(path, root => Read(root, path));
    }

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
            throw new InvalidInputException(
                FaultKinds.UnsupportedModel, path, $"model_type {Untrusted.Show(type.GetString()!)} is not supported ({supported}).");
        }

        return family.ReadConfig(new ConfigFields(root, path));
    }
}
