namespace HeadPatching.DemoModel.Sentences;

/// <summary>
/// One indirect-object sentence, such as "When Mary and John went to the store, John gave a drink to" with its answer " Mary".
/// </summary>
/// <param name="Prompt">The sentence up to the answer, without a trailing space.</param>
/// <param name="Names">Who gives to whom.</param>
public sealed record Sentence(string Prompt, NamePair Names)
{
    /// <summary>The right next word, with its leading space: the name that the prompt has once.</summary>
    public string Answer => $" {Names.IndirectObject}";

    /// <summary>The wrong next word, with its leading space: the name that the prompt has twice.</summary>
    public string WrongAnswer => $" {Names.Subject}";
}
