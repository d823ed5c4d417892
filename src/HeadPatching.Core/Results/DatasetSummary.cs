namespace HeadPatching.Core.Results;

/// <summary>The prompts of a result.</summary>
/// <param name="Name">A built-in dataset's name, or the pairs file's name.</param>
/// <param name="Pairs">How many pairs were swept.</param>
public sealed record DatasetSummary(string Name, int Pairs);

/// <summary>A role of the pairs of a result.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Pairs">How many pairs name it: the number that its effects are over.</param>
public sealed record RoleSummary(string Name, int Pairs);
