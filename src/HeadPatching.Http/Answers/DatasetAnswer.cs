namespace HeadPatching.Http.Answers;

/// <summary>A built-in dataset.</summary>
/// <param name="Name">The name to ask for.</param>
/// <param name="Description">What it holds.</param>
public sealed record DatasetAnswer(string Name, string Description);
