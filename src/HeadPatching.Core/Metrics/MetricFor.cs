namespace HeadPatching.Core.Metrics;

/// <summary>The implementation of each <see cref="Metrics.Metric"/>.</summary>
public static class MetricFor
{
    /// <summary>Makes the metric.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a value of the enumeration.</exception>
    public static IMetric Metric(Metric metric) => metric switch
    {
        Metrics.Metric.LogitDifference => new LogitDifference(),
        Metrics.Metric.LogProbability => new LogProbability(),
        Metrics.Metric.Probability => new Probability(),
        Metrics.Metric.Rank => new Rank(),
        Metrics.Metric.KlDivergence => new KlDivergence(),
        _ => throw new ArgumentOutOfRangeException(nameof(metric), metric, null),
    };
}
