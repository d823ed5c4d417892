namespace HeadPatching.Core.Results;

/// <summary>The prompts of a result.</summary>
/// <param name="Name">A built-in dataset's name, or the pairs file's name.</param>
/// <param name="Pairs">How many pairs were swept.</param>
public sealed record DatasetSummary(string Name, int Pairs);
