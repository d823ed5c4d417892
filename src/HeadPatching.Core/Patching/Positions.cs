using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Patching;

/// <summary>Where a patch is made: at all positions at once, at one, or at each in turn. In JSON <c>"all"</c>, <c>"each"</c> or a number.</summary>
[JsonConverter(typeof(PositionsJsonConverter))]
public readonly record struct Positions
{
    private readonly int _index;
    private readonly byte _kind; // 0 all, 1 each, 2 one

    private Positions(byte kind, int index)
    {
        _kind = kind;
        _index = index;
    }

    /// <summary>All positions at once.</summary>
    public static Positions All => default;

    /// <summary>Each position in turn, with a result of its own.</summary>
    public static Positions Each => new(1, 0);

    /// <summary>Whether each position is patched in turn.</summary>
    public bool IsEach => _kind == 1;

    /// <summary>The one position, counted from the end where negative; null otherwise.</summary>
    public int? Index => _kind == 2 ? _index : null;

    /// <summary>One position; negative numbers count from the end.</summary>
    public static Positions One(int index) => new(2, index);

    /// <summary>Reads <c>all</c>, <c>each</c> or a whole number.</summary>
    public static bool TryParse(string text, out Positions positions)
    {
        switch (text)
        {
            case "all":
                positions = All;
                return true;
            case "each":
                positions = Each;
                return true;
            default:
                bool number = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int index);
                positions = number ? One(index) : default;
                return number;
        }
    }

    /// <summary>Where the patches of a pair are made, one after another: what the rows of its results are.</summary>
    /// <returns>The positions, from 0; null where it is all at once.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The pair has no such position.</exception>
    public IReadOnlyList<int?> In(TokenPair pair)
    {
        if (IsEach)
        {
            return [.. Enumerable.Range(0, pair.Length).Cast<int?>()];
        }

        if (Index is not int index)
        {
            return [null];
        }

        int position = index < 0 ? pair.Length + index : index;
        return position >= 0 && position < pair.Length
            ? [position]
            : throw new ArgumentOutOfRangeException(nameof(pair), index, $"There is no position {index} in the {pair.Length} tokens of pair {pair.Index}.");
    }

    /// <inheritdoc/>
    public override string ToString() => _kind switch
    {
        0 => "all",
        1 => "each",
        _ => _index.ToString(CultureInfo.InvariantCulture),
    };

    private sealed class PositionsJsonConverter : JsonConverter<Positions>
    {
        public override Positions Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int index))
            {
                return One(index);
            }

            return reader.TokenType == JsonTokenType.String && TryParse(reader.GetString()!, out Positions positions)
                ? positions
                : throw new JsonException("Positions are \"all\", \"each\" or a whole number (negative ones count from the end).");
        }

        public override void Write(Utf8JsonWriter writer, Positions value, JsonSerializerOptions options)
        {
            if (value.Index is int index)
            {
                writer.WriteNumberValue(index);
            }
            else
            {
                writer.WriteStringValue(value.ToString());
            }
        }
    }
}
