using System.Text.Json.Serialization;

namespace HeadPatching.Core.Prompts;

/// <summary>A pair as the user gave it, one line of a pairs file.</summary>
/// <param name="Clean">The prompt on which the model behaves.</param>
/// <param name="Corrupted">The prompt on which it does not, of the same token length.</param>
/// <param name="Correct">The right answer to the clean prompt, or several.</param>
/// <param name="Incorrect">The answer it is measured against, or several.</param>
public sealed record PromptPair(Prompt Clean, Prompt Corrupted, AnswerSet Correct, AnswerSet Incorrect)
{
    /// <summary>
    /// Token positions of the two prompts by their roles (<see cref="Prompts.Roles"/>), BOS counted, negative ones from the end; null where the pair
    /// names none.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, int>? Roles { get; init; }

    /// <summary>What the pair was made from, the same text in all pairs of one form; null where it says nothing of it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Template { get; init; }
}
