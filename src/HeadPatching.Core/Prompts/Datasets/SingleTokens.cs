using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>Which words of a list a tokenizer has as one token: answers, and what stands in their place, must be that.</summary>
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
}
