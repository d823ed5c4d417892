using System.Text.Json;
using System.Text.Json.Serialization;

namespace HeadPatching.Core.Prompts;

/// <summary>Reads and writes an <see cref="Answer"/> as a string or an integer.</summary>
public sealed class AnswerJsonConverter : JsonConverter<Answer>
{
    /// <summary>So that null gets the same message as any other value that is neither.</summary>
    public override bool HandleNull => true;

    /// <inheritdoc/>
    /// <exception cref="JsonException">It is neither.</exception>
    public override Answer Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return Answer.Of(PromptJsonConverter.ReadText(ref reader));
        }

        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int id))
        {
            return Answer.Of(id);
        }

        throw new JsonException("An answer is a string that is one token, or a token id.");
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Answer value, JsonSerializerOptions options)
    {
        if (value.Id is int id)
        {
            writer.WriteNumberValue(id);
        }
        else
        {
            writer.WriteStringValue(value.Text);
        }
    }
}
