using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Tests.Golden;

/// <summary>A prompt of published matrices.</summary>
/// <param name="Text">The prompt, as text or as token ids.</param>
/// <param name="Answers">The right answer and the wrong one.</param>
internal sealed record PublishedPrompt(Prompt Text, IReadOnlyList<Answer> Answers);
