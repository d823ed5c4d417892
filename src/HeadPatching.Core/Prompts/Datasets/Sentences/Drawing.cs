using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets.Sentences;

/// <summary>What pairs are made of, drawn at random and dealt evenly: the same from the same seed, and more pairs begin as fewer do.</summary>
internal static class Drawing
{
    private const int LookedAt = 100;

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

    /// <summary>The forms to make pairs of: those that are asked for, where the dataset has any of them; otherwise all.</summary>
    public static IReadOnlyList<Form> Wanted(this DatasetInput input, IReadOnlyList<Form> all)
    {
        Form[] wanted = [.. all.Where(form => input.Templates?.Contains(form.Name) == true)];
        return wanted.Length > 0 ? wanted : all;
    }

    /// <summary>The same things in a random order.</summary>
    public static T[] Shuffled<T>(this IEnumerable<T> things, Random random)
    {
        T[] shuffled = [.. things];
        random.Shuffle(shuffled);
        return shuffled;
    }

    /// <summary>One of some things, each equally likely.</summary>
    public static T Pick<T>(this Random random, IReadOnlyList<T> things) => things[random.Next(things.Count)];

    /// <summary>
    /// A thing and a way to put it: things in their order, each once before any comes again, and then put another way, so that nothing comes
    /// twice before all has come.
    /// </summary>
    /// <param name="index">From 0.</param>
    /// <param name="things">The things.</param>
    /// <param name="ways">The ways.</param>
    public static (TThing Thing, TWay Way) Deal<TThing, TWay>(int index, IReadOnlyList<TThing> things, IReadOnlyList<TWay> ways)
    {
        var (round, place) = Math.DivRem(index, things.Count);
        return (things[place], ways[(place + round) % ways.Count]);
    }
}
