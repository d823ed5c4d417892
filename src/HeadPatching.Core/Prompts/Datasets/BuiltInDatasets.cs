using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Ioi;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>The datasets that need no pairs file.</summary>
public static class BuiltInDatasets
{
    /// <summary>How many pairs a generated dataset makes where no number is given.</summary>
    public const int DefaultCount = 20;

    /// <summary>The most pairs that a generated dataset makes.</summary>
    public const int MostPairs = PairsFile.MostPairs;

    /// <summary>The datasets, the default one first.</summary>
    public static IReadOnlyList<IDataset> All { get; } =
    [
        FixedIoi.SubjectSwapped, FixedIoi.NamesSwapped, GeneratedIoi.SubjectSwapped, GeneratedIoi.ThreeNames, new GreaterThan(), new Induction(),
        new Docstring(), new GenderedPronoun(), new GenderBias(), new SubjectVerbAgreement(), Arithmetic.Addition, Arithmetic.Subtraction, new ColoredObjects(), new MultipleChoice(),
    ];

    /// <summary>The dataset of a name, or null.</summary>
    public static IDataset? Find(string name) => All.FirstOrDefault(dataset => dataset.Name == name);

    /// <summary>That there is no dataset of a name; says which was probably meant, and lists those that there are.</summary>
    /// <param name="name">The name.</param>
    /// <param name="where">Where it was given: <c>--dataset</c>, <c>dataset</c>.</param>
    public static Fault Unknown(string name, string where) => new(
        FaultKinds.UnknownDataset,
        where,
        $"There is no built-in dataset \"{name}\".{Suggestion.DidYouMean(name, All.Select(dataset => dataset.Name))} Known are: {string.Join(", ", All.Select(dataset => dataset.Name))}.");
}
