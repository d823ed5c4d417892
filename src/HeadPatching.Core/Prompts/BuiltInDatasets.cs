using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts;

/// <summary>The datasets that need no pairs file: indirect-object sentences, of five (indirect object, subject, place, object) tuples each.</summary>
public static class BuiltInDatasets
{
    private static readonly (string IndirectObject, string Subject, string Place, string Thing)[] Tuples =
    [
        ("Mary", "John", "store", "drink"),
        ("Alice", "Bob", "park", "ball"),
        ("Emma", "James", "restaurant", "menu"),
        ("Sarah", "Michael", "library", "book"),
        ("Lisa", "David", "office", "report"),
    ];

    private static readonly Dataset[] All =
    [
        new(
            "ioi",
            "Indirect object identification; the corrupted prompt has the other name as the giver, so that the answer turns around.",
            [.. Tuples.Select(t => Pair(
                Sentence(t.IndirectObject, t.Subject, t.Subject, t.Place, t.Thing),
                Sentence(t.IndirectObject, t.Subject, t.IndirectObject, t.Place, t.Thing),
                t.IndirectObject,
                t.Subject))]),
        new(
            "ioi-order",
            "Indirect object identification; the corrupted prompt has the two names of the first clause swapped. Both prompts have the same "
            + "right answer, so clean - corrupted is small and effects are badly conditioned.",
            [.. Tuples.Select(t => Pair(
                Sentence(t.IndirectObject, t.Subject, t.Subject, t.Place, t.Thing),
                Sentence(t.Subject, t.IndirectObject, t.Subject, t.Place, t.Thing),
                t.IndirectObject,
                t.Subject))]),
    ];

    /// <summary>The names, the default dataset first.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(dataset => dataset.Name)];

    /// <summary>The pairs of a dataset.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="where">Where the name was given, for the fault: <c>--dataset</c>, <c>dataset</c>.</param>
    /// <exception cref="InvalidInputException">There is no dataset of that name; the fault lists those that there are.</exception>
    public static IReadOnlyList<PromptPair> Get(string name, string where) => Find(name, where).Pairs;

    /// <summary>What a dataset holds, in a sentence or two.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="where">Where the name was given, for the fault.</param>
    /// <exception cref="InvalidInputException">There is no dataset of that name.</exception>
    public static string Describe(string name, string where) => Find(name, where).Description;

    private static Dataset Find(string name, string where) =>
        Array.Find(All, dataset => dataset.Name == name)
        ?? throw new InvalidInputException(
            FaultKinds.UnknownDataset, where, $"There is no built-in dataset \"{name}\". Known are: {string.Join(", ", Names)}.");

    private static string Sentence(string first, string second, string giver, string place, string thing) =>
        $"When {first} and {second} went to the {place}, {giver} gave a {thing} to";

    private static PromptPair Pair(string clean, string corrupted, string correct, string incorrect) =>
        new(Prompt.Of(clean), Prompt.Of(corrupted), Answer.Of(" " + correct), Answer.Of(" " + incorrect));

    private sealed record Dataset(string Name, string Description, IReadOnlyList<PromptPair> Pairs);
}
