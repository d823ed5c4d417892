using System.Text.Json;
using System.Text.Json.Serialization;

namespace HeadPatching.Core.Prompts;

/// <summary>The right answers of a pair, or the wrong ones, as token ids: mostly one. In JSON an integer, or an array where there are several.</summary>
[JsonConverter(typeof(TokenAnswersJsonConverter))]
public readonly struct TokenAnswers : IEquatable<TokenAnswers>
{
    private readonly IReadOnlyList<int>? _ids;

    private TokenAnswers(IReadOnlyList<int> ids)
    {
        _ids = ids;
    }

    /// <summary>Every answer's id, in the order given; at least one.</summary>
    public IReadOnlyList<int> Ids => _ids ?? [];

    /// <summary>One answer.</summary>
    public static implicit operator TokenAnswers(int id) => Of(id);

    /// <summary>Whether both have the same ids in the same order.</summary>
    public static bool operator ==(TokenAnswers left, TokenAnswers right) => left.Equals(right);

    /// <summary>Whether they do not.</summary>
    public static bool operator !=(TokenAnswers left, TokenAnswers right) => !left.Equals(right);

    /// <summary>One answer or several.</summary>
    public static TokenAnswers Of(params IReadOnlyList<int> ids) => new(ids);

    /// <inheritdoc/>
    public bool Equals(TokenAnswers other) => Ids.SequenceEqual(other.Ids);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is TokenAnswers other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Ids.Aggregate(0, HashCode.Combine);

    /// <inheritdoc/>
    public override string ToString() => string.Join(',', Ids);

    private sealed class TokenAnswersJsonConverter : JsonConverter<TokenAnswers>
    {
        public override TokenAnswers Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.Number
                ? reader.GetInt32()
                : Of(JsonSerializer.Deserialize<int[]>(ref reader, options) ?? throw new JsonException("Answers are a token id, or an array of them."));

        public override void Write(Utf8JsonWriter writer, TokenAnswers value, JsonSerializerOptions options)
        {
            if (value.Ids is [int only])
            {
                writer.WriteNumberValue(only);
            }
            else
            {
                JsonSerializer.Serialize(writer, value.Ids, options);
            }
        }
    }
}
