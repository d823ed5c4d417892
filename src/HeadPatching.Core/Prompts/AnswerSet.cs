using System.Text.Json;
using System.Text.Json.Serialization;

namespace HeadPatching.Core.Prompts;

/// <summary>The right answers of a pair, or the wrong ones, as the user gave them: mostly one. In JSON an answer, or an array of them.</summary>
[JsonConverter(typeof(AnswerSetJsonConverter))]
public readonly struct AnswerSet : IEquatable<AnswerSet>
{
    private readonly IReadOnlyList<Answer>? _all;

    private AnswerSet(IReadOnlyList<Answer> all)
    {
        _all = all;
    }

    /// <summary>Every answer, in the order given.</summary>
    public IReadOnlyList<Answer> All => _all ?? [];

    /// <summary>One answer.</summary>
    public static implicit operator AnswerSet(Answer answer) => Of(answer);

    /// <summary>Whether both have the same answers in the same order.</summary>
    public static bool operator ==(AnswerSet left, AnswerSet right) => left.Equals(right);

    /// <summary>Whether they do not.</summary>
    public static bool operator !=(AnswerSet left, AnswerSet right) => !left.Equals(right);

    /// <summary>One answer or several.</summary>
    public static AnswerSet Of(params IReadOnlyList<Answer> answers) => new(answers);

    /// <inheritdoc/>
    public bool Equals(AnswerSet other) => All.SequenceEqual(other.All);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is AnswerSet other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => All.Aggregate(0, HashCode.Combine);

    /// <inheritdoc/>
    public override string ToString() => string.Join(", ", All);

    private sealed class AnswerSetJsonConverter : JsonConverter<AnswerSet>
    {
        private static readonly AnswerJsonConverter One = new();

        /// <summary>So that null gets the same message as any other value that is none.</summary>
        public override bool HandleNull => true;

        public override AnswerSet Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            if (reader.TokenType != JsonTokenType.StartArray)
            {
                return One.Read(ref reader, typeof(Answer), options);
            }

            var all = new List<Answer>();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                all.Add(One.Read(ref reader, typeof(Answer), options));
            }

            return all.Count > 0 ? Of(all) : throw new JsonException("There is no answer in it.");
        }

        public override void Write(Utf8JsonWriter writer, AnswerSet value, JsonSerializerOptions options)
        {
            if (value.All is [Answer only])
            {
                One.Write(writer, only, options);
                return;
            }

            writer.WriteStartArray();
            foreach (Answer answer in value.All)
            {
                One.Write(writer, answer, options);
            }

            writer.WriteEndArray();
        }
    }
}
