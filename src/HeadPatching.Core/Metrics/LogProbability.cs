using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>log p(correct) at the last position, in nats; with several right answers the log of their summed probability.</summary>
public sealed class LogProbability : IMetric
{
    /// <summary>Clean and corrupted runs that are closer than this, in nats, are too close: 10 % in probability.</summary>
    private const double Little = 0.1;

    /// <inheritdoc/>
    public string Name => "log-probability";

    /// <inheritdoc/>
    public MetricDetails Details { get; } = new(
        "natural logarithm of the correct answer's probability at the last position; with several answers, of their summed probability",
        HigherIsBetter: true,
        Unit: "nats");

    /// <inheritdoc/>
    public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured) =>
        VocabularyLogits.Measure(model, resid, logits =>
        {
            // Of each pair, the log of the sum of exp(logit) over its right answers, less that over the vocabulary.
            Tensor answers = AnswerLogits.Correct(logits, measured.Pairs, own => own.logsumexp(-1)); // [runs, pairs]
            return answers - logits.logsumexp(-1);
        });

    /// <inheritdoc/>
    public bool IsLittle(double difference, double size) => difference < Little;
}
