using System.Text.RegularExpressions;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// Names of token positions that mean the same in every pair (the second mention of the giver, <c>S2</c>), wherever it stands: what patches,
/// means and results are aligned by where pairs are of several templates.
/// </summary>
public static partial class Roles
{
    /// <summary>The most roles of one pair.</summary>
    public const int MostRoles = 32;

    /// <summary>What a name must be, for messages.</summary>
    public const string NameForm =
        "A role's name begins with a letter, has up to 32 letters, digits and + - _ . and is none of all, each, each-role.";

    /// <summary>The form of a name as a regular expression, for the HTTP contract.</summary>
    public const string NamePattern = "^[A-Za-z][A-Za-z0-9+_.-]{0,31}$";

    /// <summary>Whether a text may be a role's name.</summary>
    public static bool IsName(string text) => text is not ("all" or "each" or "each-role") && Name().IsMatch(text);

    /// <summary>The roles that any of the pairs names, in the order in which they first come.</summary>
    public static IReadOnlyList<string> Of(IEnumerable<TokenPair> pairs) => [.. pairs.SelectMany(pair => pair.RolesInOrder()).Select(role => role.Name).Distinct()];

    /// <summary>
    /// Why a position, counted from the end, need not be the same place in every pair: they differ in length, in where their roles stand, in
    /// their templates or, where they name neither, in where the two prompts first differ. Null where nothing speaks against it.
    /// </summary>
    public static string? Misalignment(IReadOnlyList<TokenPair> pairs)
    {
        int shortest = pairs.Min(pair => pair.Length), longest = pairs.Max(pair => pair.Length);
        if (shortest != longest)
        {
            return $"the pairs have {shortest} to {longest} tokens";
        }

        if (pairs.All(pair => pair.Roles is not null))
        {
            return pairs.All(pair => pair.RolesInOrder().SequenceEqual(pairs[0].RolesInOrder())) ? null : "the pairs' roles stand at different positions";
        }

        if (pairs.All(pair => pair.Template is not null))
        {
            return pairs.All(pair => pair.Template == pairs[0].Template) ? null : "the pairs are of several templates";
        }

        int differences = pairs.Where(pair => pair.FirstDifference < pair.Length).Select(pair => pair.FirstDifference).Distinct().Count();
        return differences < 2 ? null : "the pairs' prompts first differ at different positions";
    }

    [GeneratedRegex("\\A[A-Za-z][A-Za-z0-9+_.-]{0,31}\\z", RegexOptions.CultureInvariant)]
    private static partial Regex Name();
}
