using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets;

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

    /// <summary>The tokenizer, for a dataset of texts.</summary>
    /// <exception cref="InvalidInputException">The model has none.</exception>
    public static TextTokenizer RequireTokenizer(this DatasetInput input, string dataset) =>
        input.Tokenizer ?? throw new InvalidInputException(
            FaultKinds.NoTokenizer,
            input.Where,
            $"The prompts of {dataset} are text, and the model folder has no tokenizer. Put one there, or use induction, which needs none.");

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
