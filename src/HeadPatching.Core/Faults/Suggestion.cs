namespace HeadPatching.Core.Faults;

/// <summary>What was probably meant by a misspelt name.</summary>
public static class Suggestion
{
    private const int LongestName = 64; // a longer one is no misspelt name, and the comparison takes the product of both lengths

    private const int FewestLettersOfStart = 3;

    /// <summary>
    /// The known name that is nearest to the given one: the same but for case, or what it is the only start of, or few letters away (missing,
    /// surplus, other or exchanged ones: one of three to five letters, two of up to eight, three of more). Null where none is near, or two are as near.
    /// </summary>
    /// <param name="given">What was given; may come from outside, of any length.</param>
    /// <param name="known">The names that there are.</param>
    public static string? For(string given, IEnumerable<string> known)
    {
        if (given.Length is 0 or > LongestName)
        {
            return null;
        }

        string[] names = [.. known.Where(name => name.Length is > 0 and <= LongestName && name != given)];
        (string Name, int Letters)[] nearest = [.. names.Select(name => (name, Distance(given, name))).OrderBy(one => one.Item2).Take(2)];
        if (nearest is [var first, ..] && first.Letters <= MostBetween(Math.Min(given.Length, first.Name.Length)))
        {
            return nearest is [_, var second] && second.Letters == first.Letters ? null : first.Name;
        }

        string[] longer = given.Length < FewestLettersOfStart ? [] : [.. names.Where(name => name.StartsWith(given, StringComparison.OrdinalIgnoreCase))];
        return longer.Length == 1 ? longer[0] : null;
    }

    /// <summary>The suggestion as the end of a message: a space and "Did you mean 'pattern'?"; empty where there is none.</summary>
    /// <inheritdoc cref="For"/>
    public static string DidYouMean(string given, IEnumerable<string> known) => For(given, known) is string name ? $" Did you mean '{name}'?" : "";

    private static int MostBetween(int letters) => letters switch
    {
        < 3 => 0,
        <= 5 => 1,
        <= 8 => 2,
        _ => 3,
    };

    /// <summary>
    /// How many letters have to be put in, left out, made others or exchanged with their neighbour to make one name of the other (the
    /// optimal-string-alignment distance); case does not count.
    /// </summary>
    private static int Distance(string from, string to)
    {
        int[] beforeLast = new int[to.Length + 1], last = [.. Enumerable.Range(0, to.Length + 1)], row = new int[to.Length + 1];
        for (int i = 1; i <= from.Length; i++)
        {
            row[0] = i;
            for (int j = 1; j <= to.Length; j++)
            {
                row[j] = Math.Min(Math.Min(last[j], row[j - 1]) + 1, last[j - 1] + (Same(from[i - 1], to[j - 1]) ? 0 : 1));
                if (i > 1 && j > 1 && Same(from[i - 1], to[j - 2]) && Same(from[i - 2], to[j - 1]))
                {
                    row[j] = Math.Min(row[j], beforeLast[j - 2] + 1);
                }
            }

            (beforeLast, last, row) = (last, row, beforeLast);
        }

        return last[to.Length];

        static bool Same(char a, char b) => char.ToLowerInvariant(a) == char.ToLowerInvariant(b);
    }
}
