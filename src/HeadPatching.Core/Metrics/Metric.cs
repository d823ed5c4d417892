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

    /// <summary>The right answer's rank, 0 at the top; see <see cref="Metrics.Rank"/>.</summary>
    Rank,

    /// <summary>KL(clean || run); see <see cref="Metrics.KlDivergence"/>.</summary>
    KlDivergence,
}
