namespace HeadPatching.Core.Faults;

/// <summary>
/// The kinds of fault. The slugs are part of the contract (over HTTP, the <c>kind</c> of each of a problem's <c>errors</c>; a problem's own <c>type</c> is
/// another thing): add, never rename.
/// </summary>
public static class FaultKinds
{
    /// <summary>A file or folder is missing or cannot be read.</summary>
    public const string NotFound = "not-found";

    /// <summary>A file or body is not of the form it must have: malformed JSON, a truncated weights file.</summary>
    public const string Malformed = "malformed";

    /// <summary>An option has a value that it cannot have.</summary>
    public const string InvalidOption = "invalid-option";

    /// <summary>The model's architecture, activation or size is not one that is supported.</summary>
    public const string UnsupportedModel = "unsupported-model";

    /// <summary>A model folder lacks a tensor, or a tensor has another shape than config.json says, or a number in it is not finite.</summary>
    public const string InvalidWeights = "invalid-weights";

    /// <summary>Prompts are text and the model folder has no tokenizer that can be read.</summary>
    public const string NoTokenizer = "no-tokenizer";

    /// <summary>The tokenizer's own rule for splitting a text takes longer than it may.</summary>
    public const string SlowTokenizer = "slow-tokenizer";

    /// <summary>Clean and corrupted prompt have different token counts.</summary>
    public const string UnequalLength = "unequal-length";

    /// <summary>An answer is not exactly one token.</summary>
    public const string AnswerNotOneToken = "answer-not-one-token";

    /// <summary>The two answers of a pair are the same token.</summary>
    public const string SameAnswers = "same-answers";

    /// <summary>A token id lies outside the model's vocabulary.</summary>
    public const string OutsideVocabulary = "outside-vocabulary";

    /// <summary>A prompt is empty.</summary>
    public const string EmptyPrompt = "empty-prompt";

    /// <summary>A prompt has more tokens than the model's context.</summary>
    public const string PromptTooLong = "prompt-too-long";

    /// <summary>A position or pair index is outside its range.</summary>
    public const string OutOfRange = "out-of-range";

    /// <summary>A required property is missing.</summary>
    public const string Missing = "missing";

    /// <summary>A property that is not known, most often a misspelt one.</summary>
    public const string UnknownProperty = "unknown-property";

    /// <summary>A model name that the host does not have.</summary>
    public const string UnknownModel = "unknown-model";

    /// <summary>A dataset name that is not built in.</summary>
    public const string UnknownDataset = "unknown-dataset";

    /// <summary>More of something than the host allows.</summary>
    public const string TooLarge = "too-large";

    /// <summary>The numbers of a run grow beyond what the type it is computed in can hold.</summary>
    public const string NotFinite = "not-finite";

    /// <summary>A folder or file cannot be written.</summary>
    public const string CannotWrite = "cannot-write";
}
