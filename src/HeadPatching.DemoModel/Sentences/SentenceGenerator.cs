using HeadPatching.Core.Prompts.Datasets.Ioi;

namespace HeadPatching.DemoModel.Sentences;

/// <summary>
/// Draws random sentences. Which of the two people is named first is drawn too, so neither order says who receives: the reader has to
/// find the name that comes twice. (The field calls the orders ABBA and BABA.)
/// </summary>
/// <param name="pairs">The people to choose from; at least one pair.</param>
/// <param name="random">The source of chance; the same seed gives the same sentences.</param>
public sealed class SentenceGenerator(IReadOnlyList<NamePair> pairs, Random random)
{
    /// <summary>A random sentence about a random pair.</summary>
    public Sentence Next() => Next(Pick(pairs));

    /// <summary>A random sentence about this pair.</summary>
    public Sentence Next(NamePair names)
    {
        var indirectObjectFirst = random.Next(2) == 0;
        var prompt = IoiTemplates.Fill(
            Pick(IoiTemplates.All),
            first: indirectObjectFirst ? names.IndirectObject : names.Subject,
            second: indirectObjectFirst ? names.Subject : names.IndirectObject,
            names.Subject,
            Pick(IoiWords.Places),
            Pick(IoiWords.Objects));
        return new Sentence(prompt, names);
    }

    private T Pick<T>(IReadOnlyList<T> items) => items[random.Next(items.Count)];
}
