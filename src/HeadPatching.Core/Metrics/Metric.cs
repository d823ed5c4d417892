namespace HeadPatching.Core.Metrics;

/// <summary>What is measured at the last position.</summary>
public enum Metric
{
    /// <summary>logit[correct] - logit[incorrect]; see <see cref="Metrics.LogitDifference"/>.</summary>
    LogitDifference,
}
