using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets.Ioi;

/// <summary>
/// Random indirect-object sentences (Wang et al. 2022, "Interpretability in the Wild"), with one of two corruptions. The receiver is named
/// first in every other pair ("Mary and John ... John", the field's ABBA), the giver in those between (BABA), so that the order says nothing.
/// The same seed makes the same clean sentences under both names.
/// </summary>
public sealed class GeneratedIoi : IDataset
{
    private readonly bool _threeNames;

    private GeneratedIoi(string name, string description, bool threeNames)
    {
        Name = name;
        Description = description;
        _threeNames = threeNames;
    }

    /// <summary>
    /// <c>ioi-generated</c>: corrupted as <c>ioi</c> is, the other name gives. The corrupted prompt of a pair is the clean one of another with the
    /// answers swapped.
    /// </summary>
    public static GeneratedIoi SubjectSwapped { get; } = new(
        "ioi-generated",
        "Indirect object identification, as many random sentences as asked for: 60 names, 140 templates, half of the pairs ABBA and half BABA.",
        threeNames: false);

    /// <summary><c>ioi-abc</c>: the corrupted prompt has three other names in place of the two, so that no name comes twice and none is right.</summary>
    public static GeneratedIoi ThreeNames { get; } = new(
        "ioi-abc",
        "The sentences of ioi-generated; the corrupted prompt has three other names, none of them twice, so that it has no right answer. "
        + "The reference of the IOI paper's mean ablation.",
        threeNames: true);

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public string Description { get; }

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">There is no tokenizer, or too few of the names are one token.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        string[] names = tokenizer.OneToken(IoiWords.Names);
        int fewest = _threeNames ? 5 : 2;
        if (names.Length < fewest)
        {
            throw new InvalidInputException(
                FaultKinds.AnswerNotOneToken,
                input.Where,
                $"Answers must be one token, and of the {IoiWords.Names.Count} names of {Name} this model's tokenizer has {names.Length} as one token "
                + $"(with the space before it). {fewest} at least are needed: use pairs of your own.");
        }

        // The corruption draws from numbers of its own, so that the sentences are the same whatever it is.
        var random = new Random(input.Seed);
        var corruption = new Random(~input.Seed);
        (string Template, bool IndirectObjectFirst)[] wanted = input.Templates is null ? [] : [.. Forms().Where(form => input.Templates.Contains(IoiTemplates.NameOf(form.Template, form.IndirectObjectFirst)))];
        return
        [
            .. Enumerable.Range(0, input.Count).Select(index => wanted.Length == 0
                ? Pair(tokenizer, names, template: null, indirectObjectFirst: index % 2 == 0, random, corruption)
                : Pair(tokenizer, names, wanted[index % wanted.Length].Template, wanted[index % wanted.Length].IndirectObjectFirst, random, corruption)),
        ];
    }

    private static IEnumerable<(string Template, bool IndirectObjectFirst)> Forms() =>
        IoiTemplates.All.SelectMany(template => ((bool[])[true, false]).Select(indirectObjectFirst => (template, indirectObjectFirst)));

    private PromptPair Pair(TextTokenizer tokenizer, string[] names, string? template, bool indirectObjectFirst, Random random, Random corruption)
    {
        int one = random.Next(names.Length), other = random.Next(names.Length - 1);
        string indirectObject = names[one], subject = names[other < one ? other : other + 1];
        template ??= Pick(IoiTemplates.All);
        string place = Pick(IoiWords.Places), thing = Pick(IoiWords.Objects);
        string[] first = indirectObjectFirst ? [indirectObject, subject] : [subject, indirectObject];
        string[] others = _threeNames ? names.Except(first).Shuffled(corruption)[..3] : [];
        return new PromptPair(
            Prompt.Of(Sentence(first, subject)),
            Prompt.Of(_threeNames ? Sentence(others, others[2]) : Sentence(first, indirectObject)),
            Answer.Of($" {indirectObject}"),
            Answer.Of($" {subject}"))
        {
            Roles = IoiTemplates.RolesOf(tokenizer, template, indirectObjectFirst, indirectObject, subject, place, thing),
            Template = IoiTemplates.NameOf(template, indirectObjectFirst),
        };

        string Sentence(string[] people, string giver) => IoiTemplates.Fill(template, people[0], people[1], giver, place, thing);

        string Pick(IReadOnlyList<string> words) => words[random.Next(words.Count)];
    }
}
