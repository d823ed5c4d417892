namespace HeadPatching.Core.Prompts.Datasets.Ioi;

/// <summary>Five indirect-object sentences, of (indirect object, subject, place, object) each, with one of two corruptions.</summary>
public sealed class FixedIoi : IDataset
{
    private static readonly (string IndirectObject, string Subject, string Place, string Thing)[] Tuples =
    [
        ("Mary", "John", "store", "drink"),
        ("Alice", "Bob", "park", "ball"),
        ("Emma", "James", "restaurant", "menu"),
        ("Sarah", "Michael", "library", "book"),
        ("Lisa", "David", "office", "report"),
    ];

    private static readonly string Template = IoiTemplates.All[0];

    private FixedIoi(string name, string description, IReadOnlyList<PromptPair> pairs)
    {
        Name = name;
        Description = description;
        Pairs = pairs;
    }

    /// <summary><c>ioi</c>: the corrupted prompt has the other name as the giver.</summary>
    public static FixedIoi SubjectSwapped { get; } = new(
        "ioi",
        "Indirect object identification; the corrupted prompt has the other name as the giver, so that the answer turns around.",
        [.. Tuples.Select(t => Pair(
            Sentence(t.IndirectObject, t.Subject, t.Subject, t.Place, t.Thing),
            Sentence(t.IndirectObject, t.Subject, t.IndirectObject, t.Place, t.Thing),
            t.IndirectObject,
            t.Subject))]);

    /// <summary><c>ioi-order</c>: the corrupted prompt has the two names of the first clause swapped.</summary>
    public static FixedIoi NamesSwapped { get; } = new(
        "ioi-order",
        "Indirect object identification; the corrupted prompt has the two names of the first clause swapped. Both prompts have the same "
        + "right answer, so clean - corrupted is small and effects are badly conditioned.",
        [.. Tuples.Select(t => Pair(
            Sentence(t.IndirectObject, t.Subject, t.Subject, t.Place, t.Thing),
            Sentence(t.Subject, t.IndirectObject, t.Subject, t.Place, t.Thing),
            t.IndirectObject,
            t.Subject))]);

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public string Description { get; }

    /// <inheritdoc/>
    public bool IsGenerated => false;

    /// <summary>The pairs, which are the same for every model; without the positions of their roles, which depend on its tokens.</summary>
    public IReadOnlyList<PromptPair> Pairs { get; }

    /// <inheritdoc/>
    public IReadOnlyList<PromptPair> Make(DatasetInput input) =>
    [
        .. Pairs.Zip(Tuples, (pair, t) => pair with
        {
            Roles = IoiTemplates.RolesOf(input.Tokenizer, Template, indirectObjectFirst: true, t.IndirectObject, t.Subject, t.Place, t.Thing),
        }),
    ];

    private static string Sentence(string first, string second, string giver, string place, string thing) =>
        IoiTemplates.Fill(Template, first, second, giver, place, thing);

    private static PromptPair Pair(string clean, string corrupted, string correct, string incorrect) =>
        new(Prompt.Of(clean), Prompt.Of(corrupted), Answer.Of(" " + correct), Answer.Of(" " + incorrect))
        {
            Template = IoiTemplates.NameOf(Template, indirectObjectFirst: true),
        };
}
