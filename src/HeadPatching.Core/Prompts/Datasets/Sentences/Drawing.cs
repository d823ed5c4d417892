namespace HeadPatching.Core.Prompts.Datasets.Sentences;

/// <summary>What pairs are made of, drawn at random and dealt evenly: the same from the same seed, and more pairs begin as fewer do.</summary>
internal static class Drawing
{
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
