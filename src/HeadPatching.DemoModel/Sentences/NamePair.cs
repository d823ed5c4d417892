namespace HeadPatching.DemoModel.Sentences;

/// <summary>The two people of a sentence. The order counts: (Mary, John) and (John, Mary) are two pairs.</summary>
/// <param name="IndirectObject">Named once; receives the gift; the answer.</param>
/// <param name="Subject">Named twice; gives.</param>
public sealed record NamePair(string IndirectObject, string Subject);
