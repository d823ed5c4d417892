using System.Globalization;
using HeadPatching.Core.Prompts.Datasets;

namespace HeadPatching.Core.Results.Comparing;

/// <summary>How pairs of two sweeps are known to be the same.</summary>
public enum MatchedBy
{
    /// <summary>They are not: the sweeps have no pairs in common (or only one), or the pairs are not at hand.</summary>
    None,

    /// <summary>They have the same tokens and the same answers.</summary>
    Tokens,

    /// <summary>Models that cut texts differently: they have the same texts and the same answers' texts.</summary>
    Texts,

    /// <summary>Sweeps whose tokens are not at hand (of more than 1,000 pairs): they have the same index in one built-in dataset of one seed and number.</summary>
    Index,
}

/// <summary>The pairs that two sweeps have in common, wherever they stand in their datasets; those that either leaves out of its means are left out.</summary>
/// <param name="By">How they are known.</param>
/// <param name="Common">The index of each in both datasets.</param>
internal sealed record PairMatching(MatchedBy By, IReadOnlyList<(int A, int B)> Common)
{
    /// <summary>With fewer in common, sweeps are compared as of different pairs.</summary>
    public const int LeastPairs = 2;

    private static readonly PairMatching Nothing = new(MatchedBy.None, []);

    /// <summary>Matches the pairs.</summary>
    public static async Task<PairMatching> OfAsync(ComparedSweep a, ComparedSweep b, CancellationToken cancellationToken)
    {
        if (a.Pairs is null || b.Pairs is null)
        {
            return Nothing;
        }

        if (a.Pairs is PairsOfResult && b.Pairs is PairsOfResult)
        {
            bool oneTokenizer = HaveOneTokenizer(a.Result, b.Result);
            PairMatching byTokens = oneTokenizer ? Match(MatchedBy.Tokens, Keyed(a.Result, TokensOf), Keyed(b.Result, TokensOf)) : Nothing;
            return byTokens != Nothing ? byTokens : Match(MatchedBy.Texts, Keyed(a.Result, TextsOf), Keyed(b.Result, TextsOf));
        }

        return DatasetOf(a.Result) is string one && one == DatasetOf(b.Result)
            ? Match(MatchedBy.Index, await IndicesAsync(a, cancellationToken), await IndicesAsync(b, cancellationToken))
            : Nothing;
    }

    /// <summary>The pairs that a sweep takes into its means.</summary>
    public static HashSet<int> LeftOut(SweepResult result) => [.. (result.ExcludedPairs ?? []).Select(pair => pair.Index)];

    private static PairMatching Match(MatchedBy by, Dictionary<string, int> a, Dictionary<string, int> b)
    {
        (int, int)[] common = [.. a.Where(pair => b.ContainsKey(pair.Key)).Select(pair => (pair.Value, b[pair.Key]))];
        return common.Length < LeastPairs ? Nothing : new PairMatching(by, common);
    }

    // Where a token of both is not the same text, the ids say nothing.
    private static bool HaveOneTokenizer(SweepResult a, SweepResult b)
    {
        var texts = new Dictionary<int, string>();
        foreach (var (token, text) in TokenTexts(a))
        {
            texts[token] = text;
        }

        return TokenTexts(b).All(token => !texts.TryGetValue(token.Token, out string? text) || text == token.Text);

        static IEnumerable<(int Token, string Text)> TokenTexts(SweepResult result) => result.Pairs.SelectMany(
            pair => pair.CleanTokens.Zip(pair.CleanTokenTexts ?? []).Concat(pair.CorruptedTokens.Zip(pair.CorruptedTokenTexts ?? [])));
    }

    /// <summary>Pairs by key; the same pair twice in one dataset is two.</summary>
    private static Dictionary<string, int> Keyed(SweepResult result, Func<PairResult, string?> keyOf)
    {
        HashSet<int> leftOut = LeftOut(result);
        var copies = new Dictionary<string, int>();
        var keyed = new Dictionary<string, int>();
        foreach (PairResult pair in result.Pairs.Where(pair => !leftOut.Contains(pair.Index)))
        {
            if (keyOf(pair) is string key)
            {
                copies[key] = copies.GetValueOrDefault(key) + 1;
                keyed[string.Create(CultureInfo.InvariantCulture, $"{copies[key]} {key}")] = pair.Index;
            }
        }

        return keyed;
    }

    private static string TokensOf(PairResult pair) => $"{string.Join(' ', pair.CleanTokens)}|{string.Join(' ', pair.CorruptedTokens)}|{pair.Correct}|{pair.Incorrect}";

    private static string? TextsOf(PairResult pair) => pair is { CleanTokenTexts: { } clean, CorruptedTokenTexts: { } corrupted, CorrectText: { } correct, IncorrectText: { } incorrect }
        ? string.Join('\n', Text(clean), Text(corrupted), correct.Trim(), incorrect.Trim())
        : null;

    // Models differ in what they begin a text with: <|endoftext|>, <s>, nothing.
    private static string Text(IReadOnlyList<string> tokens) =>
        string.Concat(tokens is [['<', .., '>'], ..] ? tokens.Skip(1) : tokens).Trim();

    private static string? DatasetOf(SweepResult result) =>
        BuiltInDatasets.Find(result.Dataset.Name) is null ? null : string.Create(CultureInfo.InvariantCulture, $"{result.Dataset.Name} {result.Dataset.Pairs} {result.Seed}");

    private static async Task<Dictionary<string, int>> IndicesAsync(ComparedSweep sweep, CancellationToken cancellationToken)
    {
        HashSet<int> leftOut = LeftOut(sweep.Result);
        var indices = new Dictionary<string, int>();
        await foreach (int index in sweep.Pairs!.IndicesAsync(cancellationToken))
        {
            if (!leftOut.Contains(index))
            {
                indices[index.ToString(CultureInfo.InvariantCulture)] = index;
            }
        }

        return indices;
    }
}
