namespace HeadPatching.Core.Metrics;

/// <summary>What is measured at the last position.</summary>
public enum Metric
{
    /// <summary>logit[correct] - logit[incorrect]; see <see cref="Metrics.LogitDifference"/>.</summary>
    LogitDifference,

    /// <summary>The right answer's log-probability; see <see cref="Metrics.LogProbability"/>.</summary>
    LogProbability,

    /// <summary>The right answer's probability; see <see cref="Metrics.Probability"/>.</summary>
    Probability,

    /// <summary>The right answer's probability less the wrong one's; see <see cref="Metrics.ProbabilityDifference"/>.</summary>
    ProbabilityDifference,

    /// <summary>The right answer's rank, 0 at the top; see <see cref="Metrics.Rank"/>.</summary>
    Rank,

    /// <summary>KL(clean || run); see <see cref="Metrics.KlDivergence"/>.</summary>
    KlDivergence,

    /// <summary>Some tokens' logits, each with a weight; see <see cref="Metrics.TokenWeights"/>.</summary>
    TokenWeights,
}

/// <summary>The implementation of each <see cref="Metrics.Metric"/>.</summary>
public static class MetricFor
{
    /// <summary>Makes the metric.</summary>
    /// <param name="metric">Which.</param>
    /// <param name="weights">Of <see cref="Metric.TokenWeights"/>, the tokens and their weights; the others take none.</param>
    /// <exception cref="ArgumentOutOfRangeException">Not a value of the enumeration, or one that needs weights and has none.</exception>
    public static IMetric Metric(Metric metric, IReadOnlyList<TokenWeight>? weights = null) => metric switch
    {
        Metrics.Metric.LogitDifference => new LogitDifference(),
        Metrics.Metric.LogProbability => new LogProbability(),
        Metrics.Metric.Probability => new Probability(),
        Metrics.Metric.ProbabilityDifference => new ProbabilityDifference(),
        Metrics.Metric.Rank => new Rank(),
        Metrics.Metric.KlDivergence => new KlDivergence(),
        Metrics.Metric.TokenWeights when weights is { Count: > 0 } => new TokenWeights(weights),
        _ => throw new ArgumentOutOfRangeException(nameof(metric), metric, null),
    };
}
