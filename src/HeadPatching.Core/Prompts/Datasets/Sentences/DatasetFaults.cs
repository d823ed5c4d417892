using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets.Sentences;

/// <summary>What keeps a dataset of texts from being made for a model, said once and not for each pair.</summary>
internal static class DatasetFaults
{
    private const int LookedAt = 100;

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

    /// <summary>Makes the pairs, and sees by the first of them whether the model can take them: what is true of most is said once.</summary>
    /// <param name="input">What they are made from.</param>
    /// <param name="dataset">The dataset's name.</param>
    /// <param name="pair">Makes the pair of an index, of texts; called in their order.</param>
    /// <exception cref="InvalidInputException">The tokenizer cannot write a prompt of the first ones, or one is longer than the model's context.</exception>
    public static IReadOnlyList<PromptPair> MakePairs(this DatasetInput input, string dataset, Func<int, PromptPair> pair)
    {
        PromptPair[] pairs = [.. Enumerable.Range(0, input.Count).Select(pair)];
        TextTokenizer tokenizer = input.RequireTokenizer(dataset);
        int tokens;
        try
        {
            tokens = pairs.Take(LookedAt).Select(one => tokenizer.Encode(one.Clean.Text!).Count).DefaultIfEmpty().Max() + (input.Config.BosId is null ? 0 : 1);
        }
        catch (InvalidInputException e) when (e.Faults[0].Kind != FaultKinds.SlowTokenizer)
        {
            throw new InvalidInputException([.. e.Faults.Select(fault => fault with { Where = input.Where, Message = $"A prompt of {dataset} cannot be written. {fault.Message}" })]);
        }

        return tokens <= input.Config.Context ? pairs : throw new InvalidInputException(
            FaultKinds.PromptTooLong,
            input.Where,
            $"Prompts of {dataset} have up to {tokens} tokens with this model's tokenizer, and the model's context is {input.Config.Context}. "
            + "Use a model with a larger one, or one whose tokenizer has more words.");
    }
}
