using System.Text.Json.Serialization;
using HeadPatching.Core.Patching.Patterns;

namespace HeadPatching.Http.Answers;

/// <summary>Where a head looks in both runs of a pair.</summary>
public sealed record PatternAnswer
{
    /// <summary>The head, such as <c>L9H6</c>.</summary>
    public required string Head { get; init; }

    /// <summary>The pair's index in the dataset.</summary>
    public required int Pair { get; init; }

    /// <summary>What the head looks at most from the last position of each run.</summary>
    public required string Words { get; init; }

    /// <summary>Token ids of the clean prompt: what rows and columns of its pattern are.</summary>
    public required IReadOnlyList<int> CleanTokens { get; init; }

    /// <summary>Token ids of the corrupted prompt.</summary>
    public required IReadOnlyList<int> CorruptedTokens { get; init; }

    /// <summary>The clean prompt's tokens as text; absent where the model has no tokenizer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? CleanTokenTexts { get; init; }

    /// <summary>The corrupted prompt's tokens as text; absent where the model has no tokenizer.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? CorruptedTokenTexts { get; init; }

    /// <summary>The clean run's softmaxed attention, hook_pattern, [query][key], with nine digits.</summary>
    public required double[][] Clean { get; init; }

    /// <summary>The corrupted run's.</summary>
    public required double[][] Corrupted { get; init; }

    /// <summary>The answer about one head.</summary>
    /// <param name="patterns">The head's patterns alone.</param>
    /// <param name="texts">The texts of tokens; null where there is no tokenizer.</param>
    internal static PatternAnswer Of(PairPatterns patterns, IReadOnlyDictionary<int, string>? texts)
    {
        var (pair, pattern) = (patterns.Pair, patterns.Heads[0]);
        return new PatternAnswer
        {
            Head = pattern.Name(),
            Pair = pair.Index,
            Words = PatternWords.Of(pattern, Said(pair.Clean), Said(pair.Corrupted)),
            CleanTokens = pair.Clean,
            CorruptedTokens = pair.Corrupted,
            CleanTokenTexts = texts is null ? null : Said(pair.Clean),
            CorruptedTokenTexts = texts is null ? null : Said(pair.Corrupted),
            Clean = pattern.Clean,
            Corrupted = pattern.Corrupted,
        };

        IReadOnlyList<string> Said(IReadOnlyList<int> ids) => [.. ids.Select(id => texts?[id] ?? FormattableString.Invariant($"#{id}"))];
    }
}
