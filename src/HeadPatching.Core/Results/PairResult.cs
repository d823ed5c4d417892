using System.Text.Json.Serialization;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Results;

/// <summary>One pair's numbers.</summary>
public sealed record PairResult
{
    /// <summary>Its index in the dataset, from 0.</summary>
    public required int Index { get; init; }

    /// <summary>Token ids of the clean prompt, BOS included.</summary>
    public required IReadOnlyList<int> CleanTokens { get; init; }

    /// <summary>Token ids of the corrupted prompt, as many.</summary>
    public required IReadOnlyList<int> CorruptedTokens { get; init; }

    /// <summary>The clean prompt's tokens as text; absent where the model folder has no tokenizer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? CleanTokenTexts { get; init; }

    /// <summary>The corrupted prompt's tokens as text; absent where the model folder has no tokenizer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? CorruptedTokenTexts { get; init; }

    /// <summary>Token id of the right answer; an array where there are several.</summary>
    public required TokenAnswers Correct { get; init; }

    /// <summary>Token id of the answer it is measured against; an array where there are several.</summary>
    public required TokenAnswers Incorrect { get; init; }

    /// <summary>The right answer as text (several with | between them); absent where the model folder has no tokenizer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? CorrectText { get; init; }

    /// <summary>The other answer as text (several with | between them); absent where the model folder has no tokenizer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? IncorrectText { get; init; }

    /// <summary>The clean run's metric.</summary>
    public required double CleanMetric { get; init; }

    /// <summary>The corrupted run's metric.</summary>
    public required double CorruptedMetric { get; init; }

    /// <summary>Whether clean and corrupted metric are so close (within 1e-6) that there is no effect: 0 stands for it here.</summary>
    public required bool Degenerate { get; init; }

    /// <summary>Positions by their roles, from 0; absent where the pair names none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, int>? Roles { get; init; }

    /// <summary>With the method <c>adaptive</c>: the heads that were run on the pair; absent where none was, and with every other method.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<HeadRun>? Runs { get; init; }

    /// <summary>The patched run's metric, [layer][head]; absent with positions <c>each</c> and <c>each-role</c>, and with the method <c>adaptive</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[][]? PatchedMetric { get; init; }

    /// <summary>The effect, [layer][head]; absent where <see cref="PatchedMetric"/> is.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[][]? PatchingEffect { get; init; }

    /// <summary>With positions <c>each</c>: the patched run's metric, [layer][position][head].</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[][][]? PatchedMetricByPosition { get; init; }

    /// <summary>With positions <c>each</c>: the effect, [layer][position][head].</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[][][]? PatchingEffectByPosition { get; init; }

    /// <summary>With positions <c>each-role</c>: by role the patched run's metric, [layer][head].</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double[][]>? PatchedMetricByRole { get; init; }

    /// <summary>With positions <c>each-role</c>: by role the effect, [layer][head].</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double[][]>? PatchingEffectByRole { get; init; }
}

/// <summary>A head's patched run on a pair.</summary>
/// <param name="Head">The head, such as <c>L9H6</c>.</param>
/// <param name="PatchedMetric">The patched run's metric.</param>
/// <param name="PatchingEffect">Its effect.</param>
public sealed record HeadRun(string Head, double PatchedMetric, double PatchingEffect);
