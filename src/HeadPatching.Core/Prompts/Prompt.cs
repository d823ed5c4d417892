using System.Text.Json.Serialization;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// A prompt as the user gave it: text (the model's BOS is put before it, as TransformerLens's <c>to_tokens</c> does) or token ids
/// (taken exactly as given). In JSON a string or an array of integers.
/// </summary>
[JsonConverter(typeof(PromptJsonConverter))]
public readonly record struct Prompt
{
    private Prompt(string? text, IReadOnlyList<int>? ids)
    {
        Text = text;
        Ids = ids;
    }

    /// <summary>The text, or null where the prompt is token ids.</summary>
    public string? Text { get; }

    /// <summary>The token ids, or null where the prompt is text.</summary>
    public IReadOnlyList<int>? Ids { get; }

    /// <summary>A prompt of text.</summary>
    public static Prompt Of(string text) => new(text, null);

    /// <summary>A prompt of token ids.</summary>
    public static Prompt Of(IReadOnlyList<int> ids) => new(null, ids);
}
