using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Attribution;

/// <summary>
/// Direct logit attribution: what each part of the model adds to a linear metric of the clean run by itself, in the residual stream at the last
/// position (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; <c>ActivationCache.logit_attrs</c> of TransformerLens). Nothing is
/// patched: it is one pass, and it cannot see what a part does by way of later ones.
/// <para>
/// The metric is u · stream + constants, with u the difference of the answers' rows of the unembedding taken back through the final norm, whose scale
/// (what it divided by in the clean run) is held fixed. A head adds u · (z W_O). Norms of what is written, or of the stream with it, are taken back the
/// same way, each with its scale held fixed. So the parts add up to the metric.
/// </para>
/// </summary>
public static class DirectAttribution
{
    /// <summary>Attributes the metric of each pair's clean run.</summary>
    /// <param name="model">The model.</param>
    /// <param name="metric">The metric, which is a weighted sum of logits (<see cref="IMetric.IsLinear"/>).</param>
    /// <param name="measured">The chunk's pairs, and where their clean runs end.</param>
    /// <param name="activations">The clean run's resid_pre and z of every layer.</param>
    /// <returns>One for each pair, in their order.</returns>
    public static IReadOnlyList<LogitAttribution> Of(Transformer model, IMetric metric, MeasuredPairs measured, ChunkActivations activations)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        ScalarType wide = VocabularyLogits.Wide(model);
        bool normOfSum = model.Config.NormPlace == NormPlace.AfterSum;
        int layers = model.Config.Layers;
        var heads = new double[layers][];                                     // by layer, [pairs * heads]
        var mlps = new double[layers][];                                      // by layer, [pairs]
        var (direction, biases) = Direction(model, metric, measured.Pairs, wide); // [pairs, d_model], [pairs]
        biases = biases.Plus(OfBias(model.Weights.FinalNormBias, direction));
        Tensor u = Back(model.Weights.FinalNormWeight, measured.CleanFinal, direction); // of resid_post, [pairs, d_model]
        for (int layer = layers - 1; layer >= 0; layer--)
        {
            using var layerScope = NewDisposeScope();
            Tensor after = u;
            LayerWeights w = model.Weights.Layers[layer];
            RunActivations clean = activations.Layers[layer].Clean;
            Tensor pre = Last(clean.ResidPre!, 1).squeeze(1);                 // [pairs, d_model]
            Tensor z = Last(clean.Z!, 2);                                     // [pairs, heads, 1, d_head]
            Tensor written = model.HeadsOut(layer, z).squeeze(1);             // [pairs, d_model]
            Tensor sumOfMid = pre.Plus(model.NormWritten(layer, written));
            Tensor mid = model.ResidMid(layer, sumOfMid);
            Tensor mlp = model.MlpOut(layer, model.Config.ParallelResidual ? pre : mid);

            biases = normOfSum ? biases.Plus(OfBias(w.MlpOutNormBias, u)) : biases;
            u = normOfSum ? Back(w.MlpOutNormWeight, mid.Plus(mlp), u) : u;   // of resid_mid and mlp_out
            mlps[layer] = Numbers((mlp.to(wide) * u).sum(-1));
            biases = biases.Plus(OfBias(w.AttentionOutNormBias, u));
            u = normOfSum ? Back(w.AttentionOutNormWeight, sumOfMid, u) : u;  // of resid_pre and attn_out
            Tensor ofWritten = normOfSum ? u : Back(w.AttentionOutNormWeight, written, u);
            biases = biases.Plus(OfBias(w.OutputBias, ofWritten));
            Tensor ofZ = ofWritten.matmul(w.OutputWeight.to(wide).t()).unflatten(1, [model.Config.Heads, model.Config.HeadWidth]); // [pairs, heads, d_head]
            heads[layer] = Numbers((z.squeeze(2).to(wide) * ofZ).sum(-1).flatten());
            biases.MoveToOuterDisposeScope();
            if (!ReferenceEquals(u, after))
            {
                u.MoveToOuterDisposeScope();
            }
        }

        double[] embedding = Numbers((Last(activations.Layers[0].Clean.ResidPre!, 1).squeeze(1).to(wide) * u).sum(-1));
        double[] constants = Numbers(biases);
        return
        [
            .. Enumerable.Range(0, measured.Pairs.Count).Select(pair => new LogitAttribution(
                embedding[pair],
                [.. heads.Select(layer => layer.AsSpan(pair * model.Config.Heads, model.Config.Heads).ToArray())],
                [.. mlps.Select(layer => layer[pair])],
                constants[pair])),
        ];

        // What a shift adds: it is in the stream whatever the prompt. [pairs]
        Tensor OfBias(Tensor? bias, Tensor direction) => bias is null ? zeros(direction.shape[0], dtype: wide, device: model.Device) : direction.matmul(bias.to(wide));

        // The direction before a norm from that after it, the norm's scale a constant; where there is no norm, the same.
        Tensor Back(Tensor? weight, Tensor at, Tensor after)
        {
            if (weight is null)
            {
                return after;
            }

            Tensor scale = Centred(at.to(wide)).square().mean([-1], keepdim: true).AddInPlace(tensor(model.Config.NormEpsilon)).rsqrt_(); // [pairs, 1]
            return Centred(after * weight.to(wide)) * scale;

            Tensor Centred(Tensor x) => model.Config.Norm == NormKind.Layer ? x - x.mean([-1], keepdim: true) : x;
        }

        static Tensor Last(Tensor x, int dimension) => x.narrow(dimension, x.shape[dimension] - 1, 1);

        static double[] Numbers(Tensor x) => [.. x.to(ScalarType.Float64).cpu().data<double>()];
    }

    /// <summary>The metric after the final norm: the pairs' directions, [pairs, d_model], and what the logits' biases add, [pairs].</summary>
    private static (Tensor Direction, Tensor Biases) Direction(Transformer model, IMetric metric, IReadOnlyList<TokenPair> pairs, ScalarType wide)
    {
        (int Pair, int Token, double Weight)[] all =
            [.. pairs.SelectMany((pair, place) => metric.LogitWeights(pair).Select(one => (place, one.Token, one.Weight / model.Config.LogitDivisor)))];
        Tensor place = tensor([.. all.Select(one => (long)one.Pair)], device: model.Device);
        Tensor tokens = tensor([.. all.Select(one => (long)one.Token)], device: model.Device);
        Tensor weights = tensor([.. all.Select(one => one.Weight)], dtype: wide, device: model.Device); // [tokens]
        Tensor rows = model.Weights.UnembeddingRows(tokens).to(wide) * weights.unsqueeze(-1);
        Tensor direction = zeros([pairs.Count, model.Config.Width], dtype: wide, device: model.Device).index_add(0, place, rows, Sums.One);
        Tensor biases = zeros(pairs.Count, dtype: wide, device: model.Device);
        return (direction, model.Weights.UnembeddingBias is not { } bias ? biases : biases.index_add(0, place, bias.to(wide).index_select(0, tokens) * weights, Sums.One));
    }
}

/// <summary>What the parts of a model add directly to a metric of one clean run, in its unit; or the sum of several runs' numbers, or their mean.</summary>
/// <param name="Embedding">What the token and position embeddings add.</param>
/// <param name="Heads">What each head adds, z W_O alone, [layer][head].</param>
/// <param name="Mlps">What each MLP adds, its own biases with it, [layer].</param>
/// <param name="Biases">What b_O, the norms' shifts and the logits' bias add: the same for every prompt but for the scales of norms.</param>
public sealed record LogitAttribution(double Embedding, double[][] Heads, double[] Mlps, double Biases)
{
    /// <summary>All parts together: the metric, before any soft cap of the logits.</summary>
    public double Total() => Embedding + Heads.Sum(layer => layer.Sum()) + Mlps.Sum() + Biases;

    /// <summary>Both added up.</summary>
    public LogitAttribution Plus(LogitAttribution other) => new(
        Embedding + other.Embedding,
        [.. Heads.Zip(other.Heads, (one, more) => one.Zip(more, (a, b) => a + b).ToArray())],
        [.. Mlps.Zip(other.Mlps, (a, b) => a + b)],
        Biases + other.Biases);

    /// <summary>A part of each number, such as a mean of a sum.</summary>
    public LogitAttribution Over(int count) => new(
        Embedding / count, [.. Heads.Select(layer => layer.Select(head => head / count).ToArray())], [.. Mlps.Select(mlp => mlp / count)], Biases / count);
}
