using System.Globalization;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>A token and how much its logit counts.</summary>
/// <param name="Id">The token.</param>
/// <param name="Weight">What its logit is multiplied with.</param>
/// <param name="Text">Its text, as it was asked for; null where it was asked for by its id.</param>
public sealed record TokenWeight(int Id, double Weight, string? Text)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Weight:+0.######;-0.######} logit[{(Text is null ? $"#{Id}" : $"\"{Text}\"")}]");
}

/// <summary>
/// A linear functional of the logits at the last position: the sum of some tokens' logits, each with a weight, the same for every pair. What can be
/// asked of the answers with the other metrics can be asked of any tokens with this one: <c>{" he": 1, " she": -1}</c>. Only these rows are unembedded.
/// </summary>
/// <param name="weights">The tokens, each once.</param>
public sealed class TokenWeights(IReadOnlyList<TokenWeight> weights) : IMetric
{
    /// <inheritdoc/>
    public string Name => "token-weights";

    /// <inheritdoc/>
    public MetricDetails Details { get; } = new($"{string.Join(' ', weights)} at the last position", HigherIsBetter: true, Unit: "logits");

    /// <inheritdoc/>
    public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured)
    {
        ScalarType wide = model.StreamDtype;
        Tensor ids = tensor([.. weights.Select(one => (long)one.Id)], device: model.Device);
        Tensor shares = tensor([.. weights.Select(one => one.Weight)], dtype: wide, device: model.Device); // [tokens]
        Tensor rows = model.Weights.UnembeddingRows(ids).to(wide); // [tokens, d_model]
        Tensor logits = model.ToLogits(model.FinalNorm(resid).to(wide).matmul(rows.t()), model.Weights.UnembeddingBias?.to(wide).index_select(0, ids)); // [runs, pairs, tokens]
        return logits.matmul(shares);                                         // [runs, pairs]
    }

    /// <inheritdoc/>
    public bool IsLinear => true;

    /// <inheritdoc/>
    public IReadOnlyList<(int Token, double Weight)> LogitWeights(TokenPair pair) => [.. weights.Select(one => (one.Id, one.Weight))];
}
