using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Patching;

/// <summary>Which pair gives its activation to which in resample ablation.</summary>
public static class Donors
{
    /// <summary>
    /// Draws each pair another of the same length: the pairs of a length are shuffled, and each takes from the next. The same seed draws the
    /// same.
    /// </summary>
    /// <returns>For each pair the place of its donor in <paramref name="pairs"/>; -1 where no other pair has its length.</returns>
    public static IReadOnlyList<int> Draw(IReadOnlyList<TokenPair> pairs, int seed)
    {
        int[] donors = new int[pairs.Count];
        var random = new Random(seed);
        foreach (var group in Enumerable.Range(0, pairs.Count).GroupBy(place => pairs[place].Length).OrderBy(group => group.Key))
        {
            int[] places = [.. group];
            random.Shuffle(places);
            for (int i = 0; i < places.Length; i++)
            {
                donors[places[i]] = places.Length == 1 ? -1 : places[(i + 1) % places.Length];
            }
        }

        return donors;
    }
}
