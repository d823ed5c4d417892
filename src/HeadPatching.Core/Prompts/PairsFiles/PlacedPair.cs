namespace HeadPatching.Core.Prompts.PairsFiles;

/// <summary>A pair and where it stands.</summary>
/// <param name="Pair">The pair.</param>
/// <param name="Where">The place, for a fault, of one of its properties (<c>clean</c>, <c>incorrect</c>), or with null of the pair as a whole.</param>
internal sealed record PlacedPair(PromptPair Pair, Func<string?, string> Where);
