using System.Text.Json.Serialization;

namespace HeadPatching.Core.Prompts;

/// <summary>An answer as the user gave it: text that is one token (mostly with its leading space) or a token id. In JSON a string or an integer.</summary>
[JsonConverter(typeof(AnswerJsonConverter))]
public readonly record struct Answer
{
    private Answer(string? text, int? id)
    {
        Text = text;
        Id = id;
    }

    /// <summary>The text, or null where the answer is a token id.</summary>
    public string? Text { get; }

    /// <summary>The token id, or null where the answer is text.</summary>
    public int? Id { get; }

    /// <summary>An answer of text.</summary>
    public static Answer Of(string text) => new(text, null);

    /// <summary>An answer of a token id.</summary>
    public static Answer Of(int id) => new(null, id);
}
