using System.Text.Json;
using System.Text.Json.Serialization;

namespace HeadPatching.Core.Prompts;

/// <summary>Reads and writes a <see cref="Prompt"/> as a string or an array of integers.</summary>
public sealed class PromptJsonConverter : JsonConverter<Prompt>
{
    /// <summary>So that null gets the same message as any other value that is neither.</summary>
    public override bool HandleNull => true;

    /// <inheritdoc/>
    /// <exception cref="JsonException">It is neither.</exception>
    public override Prompt Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return Prompt.Of(ReadText(ref reader));
        }

        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw new JsonException("A prompt is a string or an array of token ids.");
        }

        var ids = new List<int>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out int id))
            {
                throw new JsonException("A prompt's token ids are whole numbers.");
            }

            ids.Add(id);
        }

        return Prompt.Of(ids);
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Prompt value, JsonSerializerOptions options)
    {
        if (value.Ids is null)
        {
            writer.WriteStringValue(value.Text);
            return;
        }

        writer.WriteStartArray();
        foreach (int id in value.Ids)
        {
            writer.WriteNumberValue(id);
        }

        writer.WriteEndArray();
    }

    /// <summary>The string at the reader; an escaped half of a surrogate pair, which JSON allows, is no text.</summary>
    /// <exception cref="JsonException">It holds one.</exception>
    internal static string ReadText(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new JsonException("The text holds half of a surrogate pair (such as \\ud83d alone) or is not UTF-8.");
        }
    }
}
