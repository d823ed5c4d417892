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
public sealed class DirectAttribution : IDisposable
{
    private readonly Transformer _model;
    private readonly ScalarType _wide;
    private readonly double[][] _heads;   // by layer, [pairs * heads]; this and the next three as if the final norm divided by 1
    private readonly double[][] _mlps;    // by layer, [pairs]
    private readonly double[] _ofBiases;  // [pairs]
    private readonly double[] _constants; // of the final norm's shift and the logits' biases, [pairs]
    private double[] _embedding = [];     // [pairs]
    private Tensor _u;                    // the direction in the stream, [pairs, d_model]

    /// <summary>Begins: which direction of the stream the metric is needs no run.</summary>
    /// <param name="model">The model.</param>
    /// <param name="metric">The metric, which is a weighted sum of logits (<see cref="IMetric.IsLinear"/>).</param>
    /// <param name="pairs">The chunk's pairs.</param>
    public DirectAttribution(Transformer model, IMetric metric, IReadOnlyList<TokenPair> pairs)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        (_model, _wide) = (model, model.StreamDtype);
        (_heads, _mlps, _ofBiases) = (new double[model.Config.Layers][], new double[model.Config.Layers][], new double[pairs.Count]);
        var (direction, biases) = Direction(model, metric, pairs, _wide);     // [pairs, d_model], [pairs]
        _constants = Numbers(model.Weights.FinalNormBias is { } shift ? biases.Plus(direction.matmul(shift.to(_wide))) : biases);
        _u = (model.Weights.FinalNormWeight is { } weight ? Centred(direction * weight.to(_wide)) : direction.clone()).DetachFromDisposeScope();
    }

    /// <summary>Whether layers may be attributed first to last, as they are run; where norms are of the stream itself, the direction before one is known only from those after it.</summary>
    public static bool Ascends(Transformer model) => model.Config.NormPlace != NormPlace.AfterSum;

    /// <summary>Attributes the metric of each pair's clean run.</summary>
    /// <param name="model">The model.</param>
    /// <param name="metric">The metric, which is a weighted sum of logits (<see cref="IMetric.IsLinear"/>).</param>
    /// <param name="measured">The chunk's pairs, and where their clean runs end.</param>
    /// <param name="activations">The clean run's resid_pre and z of every layer.</param>
    /// <returns>One for each pair, in their order.</returns>
    public static IReadOnlyList<LogitAttribution> Of(Transformer model, IMetric metric, MeasuredPairs measured, ChunkActivations activations)
    {
        using var attribution = new DirectAttribution(model, metric, measured.Pairs);
        IEnumerable<int> layers = Enumerable.Range(0, model.Config.Layers);
        foreach (int layer in Ascends(model) ? layers : layers.Reverse())
        {
            attribution.Layer(layer, activations.Layers[layer].Clean);
        }

        return attribution.End(measured.CleanFinal);
    }

    /// <summary>Attributes to the parts of one more layer: the first one first, or, where it does not <see cref="Ascends">ascend</see>, the last one.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="clean">The clean run's resid_pre and z there.</param>
    public void Layer(int layer, RunActivations clean)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        bool normOfSum = !Ascends(_model);
        Tensor after = _u, u = _u;
        LayerWeights w = _model.Weights.Layers[layer];
        Tensor pre = Last(clean.ResidPre!, 1).squeeze(1);                     // [pairs, d_model]
        Tensor z = Last(clean.Z!, 2);                                         // [pairs, heads, 1, d_head]
        Tensor written = _model.HeadsOut(layer, z).squeeze(1);                // [pairs, d_model]
        Tensor sumOfMid = pre.Plus(_model.NormWritten(layer, written));
        Tensor mid = _model.ResidMid(layer, sumOfMid);
        Tensor mlp = _model.MlpOut(layer, _model.Config.ParallelResidual ? pre : mid);

        if (normOfSum)
        {
            AddBias(w.MlpOutNormBias, u);
            u = Back(w.MlpOutNormWeight, mid.Plus(mlp), u);                   // of resid_mid and mlp_out
        }

        _mlps[layer] = Numbers((mlp.to(_wide) * u).sum(-1));
        AddBias(w.AttentionOutNormBias, u);
        u = normOfSum ? Back(w.AttentionOutNormWeight, sumOfMid, u) : u;      // of resid_pre and attn_out
        Tensor ofWritten = normOfSum ? u : Back(w.AttentionOutNormWeight, written, u);
        AddBias(w.OutputBias, ofWritten);
        Tensor ofZ = ofWritten.matmul(w.OutputWeight.to(_wide).t()).unflatten(1, [_model.Config.Heads, _model.Config.HeadWidth]); // [pairs, heads, d_head]
        _heads[layer] = Numbers((z.squeeze(2).to(_wide) * ofZ).sum(-1).flatten());
        if (layer == 0)
        {
            _embedding = Numbers((pre.to(_wide) * u).sum(-1));
        }

        if (!ReferenceEquals(u, after))
        {
            _u = u.DetachFromDisposeScope();
            after.Dispose();
        }

        // What a shift adds: it is in the stream whatever the prompt.
        void AddBias(Tensor? bias, Tensor direction)
        {
            double[] added = bias is null ? [] : Numbers(direction.matmul(bias.to(_wide)));
            for (int pair = 0; pair < added.Length; pair++)
            {
                _ofBiases[pair] += added[pair];
            }
        }
    }

    /// <summary>What all layers gave, by the scale that the final norm had.</summary>
    /// <param name="cleanFinal">Where the clean runs end, [pairs, d_model].</param>
    /// <returns>One for each pair, in their order.</returns>
    public IReadOnlyList<LogitAttribution> End(Tensor cleanFinal)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        double[] scale = _model.Weights.FinalNormWeight is null ? [.. Enumerable.Repeat(1.0, _ofBiases.Length)] : Numbers(Scale(cleanFinal).squeeze(-1));
        return
        [
            .. scale.Select((by, pair) => new LogitAttribution(
                by * _embedding[pair],
                [.. _heads.Select(layer => layer.AsSpan(pair * _model.Config.Heads, _model.Config.Heads).ToArray().Select(head => by * head).ToArray())],
                [.. _mlps.Select(layer => by * layer[pair])],
                (by * _ofBiases[pair]) + _constants[pair])),
        ];
    }

    /// <inheritdoc/>
    public void Dispose() => _u.Dispose();

    /// <summary>The direction before a norm from that after it, the norm's scale a constant; where there is no norm, the same.</summary>
    private Tensor Back(Tensor? weight, Tensor at, Tensor after) => weight is null ? after : Centred(after * weight.to(_wide)) * Scale(at);

    /// <summary>[pairs, 1]</summary>
    private Tensor Scale(Tensor at) => Centred(at.to(_wide)).Squared().mean([-1], keepdim: true).AddInPlace(tensor(_model.Config.NormEpsilon)).rsqrt_();

    private Tensor Centred(Tensor x) => _model.Config.Norm == NormKind.Layer ? x - x.mean([-1], keepdim: true) : x;

    private static Tensor Last(Tensor x, int dimension) => x.narrow(dimension, x.shape[dimension] - 1, 1);

    private static double[] Numbers(Tensor x) => [.. x.to(ScalarType.Float64).cpu().data<double>()];

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
