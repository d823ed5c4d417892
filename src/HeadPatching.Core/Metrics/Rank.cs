using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>
/// The right answer's rank at the last position: the number of tokens with a strictly larger logit, so that the top token has rank 0. With
/// several right answers it is that of the best one.
/// </summary>
public sealed class Rank : IMetric
{
    /// <inheritdoc/>
    public string Name => "rank";

    /// <inheritdoc/>
    public MetricDetails Details { get; } = new(
        "number of tokens with a larger logit than the correct answer at the last position (0: it is the top one); with several answers, than the best of them",
        HigherIsBetter: false,
        Unit: "ranks");

    /// <inheritdoc/>
    public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured) =>
        VocabularyLogits.Measure(model, resid, logits =>
        {
            Tensor best = AnswerLogits.Correct(logits, measured.Pairs, own => own.amax([-1])); // [runs, pairs]
            return logits.gt(best.unsqueeze(-1)).sum(-1).to(logits.dtype);
        });

    /// <summary>Less than one rank apart.</summary>
    /// <inheritdoc/>
    public bool IsLittle(double difference, double size) => difference < 1;

    /// <inheritdoc/>
    public string? Shortfall(double clean) => clean > 0 ? "does not rank the correct answer first" : null;
}
