using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>
/// logit[correct] - logit[incorrect] at the last position (Wang et al. 2022, "Interpretability in the Wild"); with several answers the mean
/// of the right ones' logits less the mean of the wrong ones'. Only the answers' rows are unembedded.
/// </summary>
public sealed class LogitDifference : IMetric
{
    /// <inheritdoc/>
    public string Name => "logit-difference";

    /// <inheritdoc/>
    public MetricDetails Details { get; } = new(
        "logit[correct] - logit[incorrect] at the last position; with several answers, the mean of the right ones less the mean of the wrong ones",
        HigherIsBetter: true,
        Unit: "logits");

    /// <inheritdoc/>
    public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured)
    {
        // bfloat16 has 8 bits of precision: differences of logits are taken in float32.
        ScalarType wide = model.Dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor unembedding = model.Weights.Unembedding;
        Tensor direction = MeanRow(pair => pair.Correct) - MeanRow(pair => pair.Incorrect); // [pairs, d_model]
        return (model.FinalNorm(resid).to(wide) * direction).sum(-1);         // [runs, pairs]

        // The mean of the answers' rows: the mean of their logits, since the unembedding is linear. [pairs, d_model]
        Tensor MeanRow(Func<TokenPair, TokenAnswers> answers)
        {
            TokenAnswers[] all = [.. measured.Pairs.Select(answers)];
            Tensor rows = unembedding.index_select(0, tensor(all.SelectMany(one => one.Ids).Select(id => (long)id).ToArray(), device: model.Device)).to(wide);
            return all.All(one => one.Ids.Count == 1)
                ? rows
                : stack(rows.split([.. all.Select(one => (long)one.Ids.Count)]).Select(own => own.mean([0])));
        }
    }

    /// <inheritdoc/>
    public string? Shortfall(double clean) => clean <= 0 ? "does not prefer the correct answer" : null;
}
