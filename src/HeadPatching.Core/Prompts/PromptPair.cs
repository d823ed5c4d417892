namespace HeadPatching.Core.Prompts;

/// <summary>A pair as the user gave it, one line of a pairs file.</summary>
/// <param name="Clean">The prompt on which the model behaves.</param>
/// <param name="Corrupted">The prompt on which it does not, of the same token length.</param>
/// <param name="Correct">The right answer to the clean prompt, or several.</param>
/// <param name="Incorrect">The answer it is measured against, or several.</param>
public sealed record PromptPair(Prompt Clean, Prompt Corrupted, AnswerSet Correct, AnswerSet Incorrect);
