using System.Globalization;

namespace HeadPatching.Core.Patching.Patterns;

/// <summary>A pattern said in words.</summary>
public static class PatternWords
{
    /// <summary>
    /// What the head looks at most from the last position, in both runs, such as <c>from ' to' it looks at ' Mary' (0.71) in the clean run and at ' John'
    /// (0.64) in the corrupted</c>. A text that stands at several positions of its prompt has its position with it.
    /// </summary>
    /// <param name="pattern">The pattern.</param>
    /// <param name="cleanTexts">The clean prompt's tokens as text, or their ids.</param>
    /// <param name="corruptedTexts">The corrupted prompt's.</param>
    public static string Of(HeadPattern pattern, IReadOnlyList<string> cleanTexts, IReadOnlyList<string> corruptedTexts)
    {
        string cleanEnd = cleanTexts[^1], corruptedEnd = corruptedTexts[^1];
        string from = cleanEnd == corruptedEnd ? $"'{cleanEnd}'" : $"'{cleanEnd}' (corrupted: '{corruptedEnd}')";
        return $"from {from} it looks {Strongest(pattern.Clean[^1], cleanTexts)} in the clean run and {Strongest(pattern.Corrupted[^1], corruptedTexts)} in the corrupted";
    }

    private static string Strongest(double[] row, IReadOnlyList<string> texts)
    {
        int at = Array.IndexOf(row, row.Max());
        string where = texts.Count(text => text == texts[at]) > 1 ? string.Create(CultureInfo.InvariantCulture, $" at position {at}") : "";
        return string.Create(CultureInfo.InvariantCulture, $"at '{texts[at]}'{where} ({row[at]:0.00})");
    }
}
