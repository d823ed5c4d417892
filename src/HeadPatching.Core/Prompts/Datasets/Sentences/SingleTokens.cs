using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets.Sentences;

/// <summary>What a tokenizer makes of a dataset's words: which are one token, as answers and what stands in their place must be, and where words stand.</summary>
internal static class SingleTokens
{
    /// <summary>The token that a text is in the middle of another, or null where it is several or cannot be encoded.</summary>
    /// <exception cref="InvalidInputException">The tokenizer takes too long, as it would with every text.</exception>
    public static int? SingleToken(this TextTokenizer tokenizer, string text)
    {
        try
        {
            return tokenizer.EncodeWithin(text) is [int only] ? only : null;
        }
        catch (InvalidInputException e) when (e.Faults[0].Kind != FaultKinds.SlowTokenizer)
        {
            return null;
        }
    }

    /// <summary>How many tokens a text is by itself, or in the middle of another; null where it cannot be encoded.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="text">The text.</param>
    /// <param name="within">Whether it is in the middle of another.</param>
    /// <inheritdoc cref="SingleToken" path="/exception"/>
    public static int? Count(this TextTokenizer tokenizer, string text, bool within)
    {
        try
        {
            return (within ? tokenizer.EncodeWithin(text) : tokenizer.Encode(text)).Count;
        }
        catch (InvalidInputException e) when (e.Faults[0].Kind != FaultKinds.SlowTokenizer)
        {
            return null;
        }
    }

    /// <summary>The words that are one token with the space before them.</summary>
    /// <inheritdoc cref="SingleToken" path="/exception"/>
    public static string[] OneToken(this TextTokenizer tokenizer, IEnumerable<string> words) => [.. words.Where(word => tokenizer.SingleToken($" {word}") is not null)];

    /// <summary>The words that are one token with the space before them, which give all prompts one length; all of them where none is.</summary>
    /// <inheritdoc cref="SingleToken" path="/exception"/>
    public static IReadOnlyList<string> OneTokenWhereAny(this TextTokenizer tokenizer, IReadOnlyList<string> words) =>
        tokenizer.OneToken(words) is { Length: > 0 } some ? some : words;

    /// <summary>
    /// The positions of a text's words by their roles, counted from the end so that a BOS before it changes nothing. A word that the tokenizer
    /// does not end a token with has no position, and its role is left out.
    /// </summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="InvalidInputException">The tokenizer takes too long, as it would with every text.</exception>
    /// <param name="places">Each role, the beginning of the text that ends in its word, and how many tokens after that word's last it stands.</param>
    public static IReadOnlyDictionary<string, int>? RolesOf(this TextTokenizer tokenizer, string text, params (string Role, string UpTo, int After)[] places)
    {
        var roles = new Dictionary<string, int>();
        try
        {
            IReadOnlyList<int> all = tokenizer.Encode(text);
            foreach (var ofOneWord in places.GroupBy(place => place.UpTo))
            {
                IReadOnlyList<int> ids = ofOneWord.Key == text ? all : tokenizer.Encode(ofOneWord.Key);
                if (all.Take(ids.Count).SequenceEqual(ids))
                {
                    foreach (var (role, _, after) in ofOneWord)
                    {
                        roles[role] = ids.Count - 1 + after - all.Count;
                    }
                }
            }
        }
        catch (InvalidInputException e) when (e.Faults[0].Kind != FaultKinds.SlowTokenizer)
        {
            return null; // What is wrong with the text is said where the pair is tokenised.
        }

        return roles.Count > 0 ? roles : null;
    }
}
