using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>The right answers' logits out of those of the whole vocabulary.</summary>
internal static class CorrectLogits
{
    /// <summary>Of each pair: its right answers' logits in every run.</summary>
    /// <param name="logits">[runs, pairs, vocabulary]</param>
    /// <param name="pairs">The pairs, in the order of the second dimension.</param>
    /// <returns>As many as pairs, each [runs, answers of the pair]</returns>
    public static IEnumerable<Tensor> Of(Tensor logits, IReadOnlyList<TokenPair> pairs) =>
        pairs.Select((pair, place) => logits
            .select(1, place)
            .index_select(-1, tensor(pair.Correct.Ids.Select(id => (long)id).ToArray(), device: logits.device)));
}
