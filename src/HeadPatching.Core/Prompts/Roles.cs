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

    [GeneratedRegex("\\A[A-Za-z][A-Za-z0-9+_.-]{0,31}\\z", RegexOptions.CultureInvariant)]
    private static partial Regex Name();
}
