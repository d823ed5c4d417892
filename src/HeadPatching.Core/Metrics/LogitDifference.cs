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
        ScalarType wide = model.StreamDtype;
        Tensor normed = model.FinalNorm(resid).to(wide);                      // [runs, pairs, d_model]
        if (model.Config.LogitCap is not null)
        {
            return OfEachAnswer();
        }

        Tensor direction = MeanRow(pair => pair.Correct) - MeanRow(pair => pair.Incorrect); // [pairs, d_model]
        Tensor products = (normed * direction).sum(-1);                       // [runs, pairs]
        return model.ToLogits(products, model.Weights.UnembeddingBias is { } bias ? Biases(bias) : null);

        // The mean of the answers' rows: the mean of their logits, since the unembedding is linear. [pairs, d_model]
        Tensor MeanRow(Func<TokenPair, TokenAnswers> answers)
        {
            TokenAnswers[] all = [.. measured.Pairs.Select(answers)];
            Tensor rows = model.Weights.UnembeddingRows(tensor(all.SelectMany(one => one.Ids).Select(id => (long)id).ToArray(), device: model.Device)).to(wide);
            return all.All(one => one.Ids.Count == 1)
                ? rows
                : stack(rows.split([.. all.Select(one => (long)one.Ids.Count)]).Select(own => own.mean([0])));
        }

        // What the answers' biases add to the difference, [pairs]
        Tensor Biases(Tensor bias)
        {
            var (ids, shares, _) = Answers();
            return (bias.to(wide).index_select(0, ids) * shares).sum(-1);
        }

        // A soft cap is not linear: the logit of each answer by itself, then their means.
        Tensor OfEachAnswer()
        {
            var (ids, shares, pairOf) = Answers();
            Tensor rows = model.Weights.UnembeddingRows(ids).to(wide);          // [answers, d_model]
            Tensor logits = model.ToLogits((normed.index_select(1, pairOf) * rows).sum(-1), model.Weights.UnembeddingBias?.to(wide).index_select(0, ids)); // [runs, answers]
            return logits.matmul(shares.t());                                 // [runs, pairs]
        }

        // All answers of all pairs, [answers]; each one's share of the difference, [pairs, answers]; and its pair, [answers].
        (Tensor Ids, Tensor Shares, Tensor PairOf) Answers()
        {
            (int Pair, int Id, double Share)[] all =
                [.. measured.Pairs.SelectMany((pair, index) => LogitWeights(pair).Select(one => (index, one.Token, one.Weight)))];
            var shares = new double[measured.Pairs.Count * all.Length];
            for (int answer = 0; answer < all.Length; answer++)
            {
                shares[(all[answer].Pair * all.Length) + answer] = all[answer].Share;
            }

            return (
                tensor([.. all.Select(one => (long)one.Id)], device: model.Device),
                tensor(shares, dtype: wide, device: model.Device).reshape(measured.Pairs.Count, all.Length),
                tensor([.. all.Select(one => (long)one.Pair)], device: model.Device));
        }
    }

    /// <inheritdoc/>
    public bool IsLinear => true;

    /// <inheritdoc/>
    public IReadOnlyList<(int Token, double Weight)> LogitWeights(TokenPair pair)
    {
        return [.. Shared(pair.Correct.Ids, 1), .. Shared(pair.Incorrect.Ids, -1)];

        static IEnumerable<(int Token, double Weight)> Shared(IReadOnlyList<int> ids, int sign) => ids.Select(id => (id, (double)sign / ids.Count));
    }

    /// <inheritdoc/>
    public string? Shortfall(double clean) => clean <= 0 ? "does not prefer the correct answer" : null;
}
