using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Patching;

/// <summary>
/// Where a patch is made: at all positions at once, at one (the same in every pair, or each pair's own of a role), or at each in turn. In JSON
/// <c>"all"</c>, <c>"each"</c>, <c>"each-role"</c>, a number, or a role's name such as <c>"S2"</c>.
/// </summary>
[JsonConverter(typeof(PositionsJsonConverter))]
public readonly record struct Positions
{
    /// <summary>What a text must be, for messages.</summary>
    public const string Form =
        "Positions are all, each, each-role, a whole number (negative ones count from the end) or a role that the pairs name, such as S2.";

    private readonly Kind _kind;
    private readonly int _index;
    private readonly string? _role;

    private Positions(Kind kind, int index = 0, string? role = null) => (_kind, _index, _role) = (kind, index, role);

    private enum Kind
    {
        All,
        Each,
        EachRole,
        One,
        Role,
    }

    /// <summary>All positions at once.</summary>
    public static Positions All => default;

    /// <summary>Each position in turn, with a result of its own.</summary>
    public static Positions Each => new(Kind.Each);

    /// <summary>Each role in turn that the pairs name, each at the pair's own position of it.</summary>
    public static Positions EachRole => new(Kind.EachRole);

    /// <summary>Whether each position is patched in turn.</summary>
    public bool IsEach => _kind == Kind.Each;

    /// <summary>Whether each role is patched in turn.</summary>
    public bool IsEachRole => _kind == Kind.EachRole;

    /// <summary>The one position, counted from the end where negative; null otherwise.</summary>
    public int? Index => _kind == Kind.One ? _index : null;

    /// <summary>The one role; null otherwise.</summary>
    public string? Role => _role;

    /// <summary>One position; negative numbers count from the end.</summary>
    public static Positions One(int index) => new(Kind.One, index);

    /// <summary>Each pair's own position of a role.</summary>
    /// <exception cref="ArgumentException">It is no role's name; see <see cref="Roles.IsName"/>.</exception>
    public static Positions AtRole(string role) =>
        Roles.IsName(role) ? new(Kind.Role, role: role) : throw new ArgumentException($"\"{role}\" is no role's name. {Roles.NameForm}", nameof(role));

    /// <summary>Reads <c>all</c>, <c>each</c>, <c>each-role</c>, a whole number or a role's name.</summary>
    public static bool TryParse(string text, out Positions positions)
    {
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int index))
        {
            positions = One(index);
            return true;
        }

        positions = text switch
        {
            "each" => Each,
            "each-role" => EachRole,
            _ => Roles.IsName(text) ? AtRole(text) : All,
        };
        return text == "all" || positions != All;
    }

    /// <summary>Whether a pair has them: the one position, or the role.</summary>
    public bool AreIn(TokenPair pair) => (Index is not int index || (index < pair.Length && index >= -pair.Length)) && (Role is null || pair.PositionOf(Role) is not null);

    /// <summary>Where the patches of a pair are made, one after another: what the rows of its results are.</summary>
    /// <returns>The positions, from 0; null where it is all at once. With <see cref="EachRole"/> in the order of <see cref="TokenPair.RolesInOrder"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The pair has no such position or role.</exception>
    public IReadOnlyList<int?> In(TokenPair pair)
    {
        switch (_kind)
        {
            case Kind.All:
                return [null];
            case Kind.Each:
                return [.. Enumerable.Range(0, pair.Length).Cast<int?>()];
            case Kind.EachRole:
                return pair.Roles is { Count: > 0 }
                    ? [.. pair.RolesInOrder().Select(role => (int?)role.Position)]
                    : throw new ArgumentOutOfRangeException(nameof(pair), pair.Index, $"Pair {pair.Index} names no role.");
            case Kind.Role:
                return [pair.PositionOf(_role!) ?? throw new ArgumentOutOfRangeException(nameof(pair), _role, $"Pair {pair.Index} does not name the role {_role}.")];
            default:
                int position = _index < 0 ? pair.Length + _index : _index;
                return position >= 0 && position < pair.Length
                    ? [position]
                    : throw new ArgumentOutOfRangeException(nameof(pair), _index, $"There is no position {_index} in the {pair.Length} tokens of pair {pair.Index}.");
        }
    }

    /// <inheritdoc/>
    public override string ToString() => _kind switch
    {
        Kind.All => "all",
        Kind.Each => "each",
        Kind.EachRole => "each-role",
        Kind.Role => _role!,
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

            return reader.TokenType == JsonTokenType.String && TryParse(reader.GetString()!, out Positions positions) ? positions : throw new JsonException(Form);
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
