using System.Text.Json.Serialization;

namespace HeadPatching.Http.Answers;

/// <summary>A model that can be swept, or one that cannot and why.</summary>
public sealed record ModelAnswer
{
    /// <summary>The name to ask for.</summary>
    public required string Name { get; init; }

    /// <summary>Its family, such as <c>gpt2</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Family { get; init; }

    /// <summary>Number of layers.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Layers { get; init; }

    /// <summary>Attention heads a layer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Heads { get; init; }

    /// <summary>The most tokens of a prompt.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Context { get; init; }

    /// <summary>Number of token ids.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Vocabulary { get; init; }

    /// <summary>Number of weights.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Parameters { get; init; }

    /// <summary>Why it cannot be swept; absent where it can.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Problem { get; init; }
}
