using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Samples;

/// <summary>
/// The right answer's logit less the largest of all other tokens': above 0 exactly where the model says it. Not linear in the logits, so no weights of
/// tokens can say it.
/// </summary>
public sealed class Margin : IMetric
{
    /// <inheritdoc/>
    public string Name => "margin";

    /// <inheritdoc/>
    public MetricDetails Details { get; } = new("logit[correct] - the largest other logit at the last position", HigherIsBetter: true, Unit: "logits");

    /// <inheritdoc/>
    public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured)
    {
        Tensor logits = model.Unembed(model.FinalNorm(resid));                // [runs, pairs, vocabulary]
        long runs = logits.shape[0], pairs = logits.shape[1];
        Tensor correct = tensor([.. measured.Pairs.Select(pair => (long)pair.Correct.Ids[0])], device: model.Device)
            .reshape(1, pairs, 1).expand(runs, pairs, 1);                     // [runs, pairs, 1]
        Tensor others = logits.scatter(2, correct, tensor(float.NegativeInfinity, dtype: logits.dtype, device: model.Device).expand(runs, pairs, 1));
        return (logits.gather(2, correct).squeeze(2) - others.amax(2)).to(ScalarType.Float32); // [runs, pairs]
    }
}
