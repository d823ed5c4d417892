using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets.Sentences;

/// <summary>What keeps a dataset of texts from being made for a model, said once and not for each pair.</summary>
internal static class DatasetFaults
{
    /// <summary>The tokenizer, for a dataset of texts.</summary>
    /// <exception cref="InvalidInputException">The model has none, or one that cannot be used.</exception>
    public static TextTokenizer RequireTokenizer(this DatasetInput input, string dataset) =>
        input.Tokenizer switch
        {
            null => throw new InvalidInputException(
                FaultKinds.NoTokenizer,
                input.Where,
                $"The prompts of {dataset} are text, and the model folder has no tokenizer. Put one there, or use induction, which needs none."),
            { Unsupported: string why } => throw new InvalidInputException(
                FaultKinds.NoTokenizer, input.Where, $"The prompts of {dataset} are text, and the model folder's tokenizer cannot be used: {why}"),
            TextTokenizer tokenizer => tokenizer,
        };

    /// <summary>That a tokenizer has too few of a dataset's words as one token.</summary>
    /// <param name="input">What the pairs were to be made from.</param>
    /// <param name="dataset">The dataset's name.</param>
    /// <param name="needed">How many are needed.</param>
    /// <param name="what">What the words are: <c>argument names</c>.</param>
    /// <param name="words">All of them, as they would have to be one token.</param>
    /// <param name="lacking">Those that are not.</param>
    public static InvalidInputException TooFewWords(
        this DatasetInput input, string dataset, int needed, string what, IReadOnlyCollection<string> words, IReadOnlyCollection<string> lacking)
    {
        const int told = 5;
        string some = string.Join(", ", lacking.Take(told).Select(word => $"\"{word}\"")) + (lacking.Count > told ? $" and {lacking.Count - told} more" : "");
        return new InvalidInputException(
            FaultKinds.AnswerNotOneToken,
            input.Where,
            $"{dataset} needs {(needed < words.Count ? $"{needed} of " : "")}its {words.Count} {what} as one token each, and this model's tokenizer has {words.Count - lacking.Count}. It lacks {some}. "
            + "Use a model whose tokenizer has more words, as GPT-2's or Llama's, or pairs of your own.");
    }
}
