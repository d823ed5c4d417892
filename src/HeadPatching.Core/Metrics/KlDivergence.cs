using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>
/// KL(clean || run) at the last position, in nats: how far the run's next-token distribution is from the clean run's (Kullback and Leibler
/// 1951, "On Information and Sufficiency"). The clean run's own is 0. It looks at no answer.
/// </summary>
public sealed class KlDivergence : IMetric
{
    /// <summary>Runs whose distributions are closer than this, in nats, are too close: there is hardly anything to restore.</summary>
    private const double Little = 0.01;

    /// <inheritdoc/>
    public string Name => "kl-divergence";

    /// <inheritdoc/>
    public MetricDetails Details { get; } = new(
        "Kullback-Leibler divergence KL(clean || run) of the next-token distributions at the last position; 0 is the clean run's own",
        HigherIsBetter: false,
        Unit: "nats");

    /// <inheritdoc/>
    public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured)
    {
        using var scope = NewDisposeScope();
        Tensor logClean = VocabularyLogits.Of(model, measured.CleanFinal).log_softmax(-1); // [pairs, vocabulary]
        Tensor clean = logClean.exp();
        Tensor divergence = VocabularyLogits.Measure(
            model, resid, logits => (logClean - logits.log_softmax(-1)).mul_(clean).sum(-1)); // sum of p (log p - log q)
        return divergence.relu().MoveToOuterDisposeScope();                  // where both are the same, rounding can give a little less than 0
    }

    /// <inheritdoc/>
    public bool IsLittle(double difference, double size) => difference < Little;
}
