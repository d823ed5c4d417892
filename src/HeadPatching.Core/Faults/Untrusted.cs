namespace HeadPatching.Core.Faults;

/// <summary>Text out of a model's files, made fit for a one-line message on a terminal.</summary>
public static class Untrusted
{
    private const int LongestShown = 100;

    /// <summary>The text in quotes, cut where it is long, control characters replaced.</summary>
    public static string Show(string text)
    {
        var cut = text.Length <= LongestShown ? text : text[..LongestShown] + "…";
        return "'" + string.Concat(cut.Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c)) + "'";
    }

    /// <summary>A shape as messages write it: <c>[48, 144]</c>.</summary>
    public static string Show(IEnumerable<long> shape) => "[" + string.Join(", ", shape) + "]";

    /// <summary>The first few names of a list, and how many more there are.</summary>
    public static string ShowSome(IReadOnlyCollection<string> names)
    {
        const int Shown = 5;
        var some = string.Join(", ", names.Take(Shown).Select(Show));
        return names.Count <= Shown ? some : $"{some} and {names.Count - Shown} more";
    }
}
