namespace HeadPatching.Http.Answers;

/// <summary>A built-in dataset.</summary>
/// <param name="Name">The name to ask for.</param>
/// <param name="Description">What it holds.</param>
/// <param name="Generated">Whether it makes as many pairs as <c>count</c> says, from <c>seed</c>.</param>
public sealed record DatasetAnswer(string Name, string Description, bool Generated);
