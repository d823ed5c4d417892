using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>logit[correct] - logit[incorrect] at the last position (Wang et al. 2022, "Interpretability in the Wild"). Only the two answers' rows are unembedded.</summary>
public sealed class LogitDifference : IMetric
{
    /// <inheritdoc/>
    public string Name => "logit-difference";

    /// <inheritdoc/>
    public Tensor Measure(Transformer model, Tensor resid, IReadOnlyList<TokenPair> pairs)
    {
        // bfloat16 has 8 bits of precision: differences of logits are taken in float32.
        ScalarType wide = model.Dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor unembedding = model.Weights.Unembedding;
        Tensor correct = tensor(pairs.Select(pair => (long)pair.Correct).ToArray(), device: model.Device);
        Tensor incorrect = tensor(pairs.Select(pair => (long)pair.Incorrect).ToArray(), device: model.Device);
        Tensor direction = unembedding.index_select(0, correct).to(wide) - unembedding.index_select(0, incorrect).to(wide); // [pairs, d_model]
        return (model.FinalNorm(resid).to(wide) * direction).sum(-1);         // [runs, pairs]
    }
}
