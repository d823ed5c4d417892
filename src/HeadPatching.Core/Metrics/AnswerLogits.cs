using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>What a metric makes of the logits of each pair's own answers.</summary>
internal static class AnswerLogits
{
    /// <summary>Of the right answers of each pair, in every run.</summary>
    /// <param name="logits">[runs, pairs, vocabulary]</param>
    /// <param name="pairs">The pairs, in the order of the second dimension.</param>
    /// <param name="measure">[runs, answers of the pair] -> [runs]</param>
    /// <returns>[runs, pairs]</returns>
    public static Tensor Correct(Tensor logits, IReadOnlyList<TokenPair> pairs, Func<Tensor, Tensor> measure) =>
        Of(logits, [.. pairs.Select(pair => pair.Correct)], measure);

    /// <summary>Of the wrong answers of each pair, in every run.</summary>
    /// <inheritdoc cref="Correct"/>
    public static Tensor Incorrect(Tensor logits, IReadOnlyList<TokenPair> pairs, Func<Tensor, Tensor> measure) =>
        Of(logits, [.. pairs.Select(pair => pair.Incorrect)], measure);

    private static Tensor Of(Tensor logits, IReadOnlyList<TokenAnswers> answers, Func<Tensor, Tensor> measure) =>
        stack(answers.Select((own, place) => measure(logits.select(1, place).index_select(-1, tensor(own.Ids.Select(id => (long)id).ToArray(), device: logits.device)))), -1);
}
