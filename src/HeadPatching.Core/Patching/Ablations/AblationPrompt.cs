using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Patching.Ablations;

/// <summary>A prompt whose z is replaced, or whose z goes into means or is given to others.</summary>
/// <param name="Ids">Its token ids.</param>
/// <param name="Roles">Positions by their roles, from 0; null where it names none.</param>
/// <param name="Template">What it was made from; null where that is not known.</param>
public sealed record AblationPrompt(IReadOnlyList<int> Ids, IReadOnlyDictionary<string, int>? Roles, string? Template)
{
    private ILookup<int, string>? _rolesAt;

    /// <summary>How many tokens it has.</summary>
    public int Length => Ids.Count;

    /// <summary>The run of a pair that is patched: the corrupted one when denoising, the clean one when noising.</summary>
    public static AblationPrompt Patched(TokenPair pair, Direction direction) =>
        new(direction == Direction.Denoise ? pair.Corrupted : pair.Clean, pair.Roles, pair.Template);

    /// <summary>The run of a pair that serves as a reference: always the corrupted one, in which the behaviour is not.</summary>
    public static AblationPrompt Reference(TokenPair pair) => new(pair.Corrupted, pair.Roles, pair.Template);

    /// <summary>The roles of a position, by name; none where it has none.</summary>
    public IEnumerable<string> RolesAt(int position) => (_rolesAt ??= (Roles ?? new Dictionary<string, int>())
        .OrderBy(role => role.Key, StringComparer.Ordinal)
        .ToLookup(role => role.Value, role => role.Key))[position];

    /// <summary>Whether it is the same prompt as another: its z is the same too, so that neither goes into the other's mean or is given to it.</summary>
    public bool IsSameAs(AblationPrompt other) => Ids.SequenceEqual(other.Ids);
}
