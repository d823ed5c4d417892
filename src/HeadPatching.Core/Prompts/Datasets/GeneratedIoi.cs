using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// Random indirect-object sentences (Wang et al. 2022, "Interpretability in the Wild"), corrupted as <c>ioi</c> is: the other name gives.
/// The receiver is named first in every other pair ("Mary and John ... John", the field's ABBA), the giver in those between (BABA), so that
/// the order says nothing. The corrupted prompt of a pair is the clean one of another pair with the answers swapped.
/// </summary>
public sealed class GeneratedIoi : IDataset
{
    /// <inheritdoc/>
    public string Name => "ioi-generated";

    /// <inheritdoc/>
    public string Description =>
        "Indirect object identification, as many random sentences as asked for: 60 names, 140 templates, half of the pairs ABBA and half BABA.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">There is no tokenizer, or fewer than two of the names are one token.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        string[] names = [.. IoiWords.Names.Where(name => tokenizer.SingleToken($" {name}") is not null)];
        if (names.Length < 2)
        {
            throw new InvalidInputException(
                FaultKinds.AnswerNotOneToken,
                input.Where,
                $"Answers must be one token, and of the {IoiWords.Names.Count} names of {Name} this model's tokenizer has {names.Length} as one token "
                + "(with the space before it). Two at least are needed: use pairs of your own.");
        }

        var random = new Random(input.Seed);
        return [.. Enumerable.Range(0, input.Count).Select(index => Pair(names, indirectObjectFirst: index % 2 == 0, random))];
    }

    private static PromptPair Pair(string[] names, bool indirectObjectFirst, Random random)
    {
        int one = random.Next(names.Length), other = random.Next(names.Length - 1);
        string indirectObject = names[one], subject = names[other < one ? other : other + 1];
        string template = Pick(IoiTemplates.All), place = Pick(IoiWords.Places), thing = Pick(IoiWords.Objects);
        return new PromptPair(Prompt.Of(Sentence(subject)), Prompt.Of(Sentence(indirectObject)), Answer.Of($" {indirectObject}"), Answer.Of($" {subject}"));

        string Sentence(string giver) => indirectObjectFirst
            ? IoiTemplates.Fill(template, indirectObject, subject, giver, place, thing)
            : IoiTemplates.Fill(template, subject, indirectObject, giver, place, thing);

        string Pick(IReadOnlyList<string> words) => words[random.Next(words.Count)];
    }
}
