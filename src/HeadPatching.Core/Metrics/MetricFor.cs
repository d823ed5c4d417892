namespace HeadPatching.Core.Metrics;

/// <summary>The implementation of each <see cref="Metrics.Metric"/>.</summary>
public static class MetricFor
{
    /// <summary>Makes the metric.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a value of the enumeration.</exception>
    public static IMetric Metric(Metric metric) => metric switch
    {
        Metrics.Metric.LogitDifference => new LogitDifference(),
        _ => throw new ArgumentOutOfRangeException(nameof(metric), metric, null),
    };
}
