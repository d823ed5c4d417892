using System.Text.Json;
using System.Text.Json.Serialization;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Sweeps.Requests;

/// <summary>
/// The prompts whose z the means of a mean ablation are over, or whose z resample ablation takes: the corrupted ones of a built-in dataset's
/// pairs, or of pairs that are given. In JSON the dataset's name, or an array of pairs.
/// </summary>
[JsonConverter(typeof(ReferencePromptsJsonConverter))]
public sealed record ReferencePrompts
{
    /// <summary>A generated dataset makes at least so many prompts to refer to.</summary>
    public const int FewestGenerated = 100;

    /// <summary>More than so many say no more of a mean, and every activity has them.</summary>
    public const int MostGenerated = 1000;

    /// <summary>And so many of each template that a pair names, so that a mean can be over its own.</summary>
    public const int FewestOfTemplate = 10;

    private ReferencePrompts(string? dataset, IReadOnlyList<PromptPair>? pairs) => (Dataset, Pairs) = (dataset, pairs);

    /// <summary>The dataset's name; null where pairs are given.</summary>
    public string? Dataset { get; }

    /// <summary>The pairs; null where it is a dataset.</summary>
    public IReadOnlyList<PromptPair>? Pairs { get; }

    /// <summary>What results call it.</summary>
    public string Title => Dataset ?? "reference pairs";

    /// <summary>A built-in dataset.</summary>
    public static ReferencePrompts Of(string dataset) => new(dataset, null);

    /// <summary>Pairs.</summary>
    public static ReferencePrompts Of(IReadOnlyList<PromptPair> pairs) => new(null, pairs);

    private sealed class ReferencePromptsJsonConverter : JsonConverter<ReferencePrompts>
    {
        public override ReferencePrompts Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType == JsonTokenType.String
            ? Of(reader.GetString()!)
            : Of(JsonSerializer.Deserialize<IReadOnlyList<PromptPair>>(ref reader, options)!);

        public override void Write(Utf8JsonWriter writer, ReferencePrompts value, JsonSerializerOptions options)
        {
            if (value.Dataset is string dataset)
            {
                writer.WriteStringValue(dataset);
            }
            else
            {
                JsonSerializer.Serialize(writer, value.Pairs, options);
            }
        }
    }
}
