using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>
/// p(correct) - p(incorrect) at the last position, from -1 to 1; with several answers the summed probability of the right ones less that of
/// the wrong ones. It is the metric of greater-than: the years above less the years not above (Hanna et al. 2023, "How does GPT-2 compute
/// greater-than?").
/// </summary>
public sealed class ProbabilityDifference : IMetric
{
    /// <inheritdoc/>
    public string Name => "probability-difference";

    /// <inheritdoc/>
    public MetricDetails Details { get; } = new(
        "p(correct) - p(incorrect) at the last position; with several answers, the summed probability of the right ones less that of the wrong ones",
        HigherIsBetter: true,
        Unit: "probability");

    /// <inheritdoc/>
    public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured) =>
        VocabularyLogits.Measure(model, resid, logits =>
        {
            Tensor total = logits.logsumexp(-1);                              // [runs, pairs]
            Tensor correct = AnswerLogits.Correct(logits, measured.Pairs, own => own.logsumexp(-1));
            Tensor incorrect = AnswerLogits.Incorrect(logits, measured.Pairs, own => own.logsumexp(-1));
            return (correct - total).exp() - (incorrect - total).exp();
        });

    /// <inheritdoc/>
    public string? Shortfall(double clean) => clean <= 0 ? "does not prefer the correct answer" : null;
}
