using System.Globalization;
using System.Text.RegularExpressions;

namespace HeadPatching.Core.Patching.Patterns;

/// <summary>Heads by name, such as <c>L9H6</c>.</summary>
public static partial class HeadNames
{
    /// <summary>A head's name.</summary>
    public static string Of(int layer, int head) => FormattableString.Invariant($"L{layer}H{head}");

    /// <summary>Reads one; null where the text is no head's name.</summary>
    public static (int Layer, int Head)? Parse(string text) => Form().Match(text) is { Success: true } match
        ? (int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture))
        : null;

    [GeneratedRegex(@"\AL([0-9]{1,6})H([0-9]{1,6})\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
