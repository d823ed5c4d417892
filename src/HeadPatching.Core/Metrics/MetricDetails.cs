namespace HeadPatching.Core.Metrics;

/// <summary>What a metric is, for readers of a result.</summary>
/// <param name="Description">One sentence.</param>
/// <param name="HigherIsBetter">Whether a larger value means more of the clean behaviour. It says nothing of effects: they are 1 at the source run, whatever the metric.</param>
/// <param name="Unit">Of its values: logits, nats, ranks, or a probability.</param>
public sealed record MetricDetails(string Description, bool HigherIsBetter, string Unit);
