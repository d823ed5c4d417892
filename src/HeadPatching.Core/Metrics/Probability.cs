using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>p(correct) at the last position; with several right answers their sum.</summary>
public sealed class Probability : IMetric
{
    private readonly LogProbability _log = new();

    /// <inheritdoc/>
    public string Name => "probability";

    /// <inheritdoc/>
    public MetricDetails Details { get; } = new(
        "probability of the correct answer at the last position; with several answers, their sum", HigherIsBetter: true, Unit: "probability");

    /// <inheritdoc/>
    public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured) => _log.Measure(model, resid, measured).exp();
}
