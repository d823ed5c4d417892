using HeadPatching.Core.Native;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace HeadPatching.Core.Models;

/// <summary>
/// The forward pass: a transformer with causal attention, in the pieces that patching needs. Every other file that runs a model
/// runs these. Nothing here changes a tensor that a caller can see, or turns gradients off, so the same pass serves for training and for
/// attribution; callers that only read wrap it in <c>inference_mode</c> and a dispose scope.
/// <para>
/// The residual stream of one layer: <c>resid_pre -> + attn_out -> resid_mid -> + mlp_out -> resid_post</c>, and a head's z is what
/// W_O turns into its part of attn_out (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"). Where the blocks are
/// parallel (<see cref="ModelConfig.ParallelResidual"/>), mlp_out is made of resid_pre, and there is no resid_mid. Where attn_out is normed,
/// or the stream with it (<see cref="ModelConfig.NormPlace"/>), a head has no part of the stream that would be its own.
/// </para>
/// <para>
/// In a grouped-query model k and v have kv_heads heads, each of which heads / kv_heads neighbouring queries share (Ainslie et al. 2023).
/// q and k are those of TransformerLens's hook_q and hook_k: what some families do to them before the two meet, norms (Qwen3's, Gemma 3's
/// and OLMo 2's q_norm and k_norm) and the turning by their positions, is done in <see cref="Attend"/> and <see cref="Pattern"/>.
/// </para>
/// </summary>
public sealed class Transformer : IDisposable
{
    // Of GELU's tanh form: 2 sqrt(2 / pi), and that times 0.044715 (as a Scalar that is held: see BannedSymbols.txt).
    private const double GeluLinear = 1.5957691216057308;
    private static readonly Scalar GeluCubic = (GeluLinear * 0.044715).ToScalar();

    // Of an expert's gate in gpt-oss: gate * sigmoid(1.702 gate), an approximation of GELU (Hendrycks and Gimpel 2016).
    private const double ExpertSlope = 1.702;

    private readonly RotaryTable? _rotary;
    private readonly RotaryTable? _slidingRotary;
    private readonly bool _frozenNorms;
    private readonly bool _ownsWeights;

    /// <summary>Makes a model of its weights, which it owns from now on.</summary>
    /// <param name="config">The shape; must be that of the weights.</param>
    /// <param name="weights">The weights, all of one dtype on one device.</param>
    public Transformer(ModelConfig config, TransformerWeights weights)
    {
        Config = config;
        Weights = weights;
        _rotary = config.Rotary is null ? null : new RotaryTable(config.Rotary, config.Context, StreamDtype, Device);
        _slidingRotary = config.SlidingRotary is null ? _rotary : new RotaryTable(config.SlidingRotary, config.Context, StreamDtype, Device);
        if (Device.type == DeviceType.CUDA)
        {
            CudaDevice.ComputeInFullFloat32();
            FreeDeviceMemory = CudaDevice.FreeBytes(Device);
        }

        // Last: until here a dispose scope that the weights were read in frees them if anything fails.
        foreach (Tensor tensor in weights.All())
        {
            tensor.DetachFromDisposeScope();
        }

        _ownsWeights = true;
    }

    private Transformer(Transformer other, TransformerWeights weights, bool frozenNorms)
    {
        (Config, Weights, FreeDeviceMemory) = (other.Config, weights, other.FreeDeviceMemory);
        (_rotary, _slidingRotary) = (other._rotary, other._slidingRotary);
        _frozenNorms = frozenNorms;
    }

    /// <summary>The shape of the model.</summary>
    public ModelConfig Config { get; }

    /// <summary>The weights.</summary>
    public TransformerWeights Weights { get; }

    /// <summary>The type of its matrices, and of what they are multiplied with.</summary>
    public ScalarType Dtype => Weights.TokenEmbedding.dtype;

    /// <summary>The type of the residual stream and of everything else: <see cref="Dtypes.OfStream"/>.</summary>
    public ScalarType StreamDtype => Dtype.OfStream();

    /// <summary>Where it computes.</summary>
    public Device Device => Weights.Device;

    /// <summary>
    /// The GPU memory in bytes that was free when the weights were there; null on a CPU, and where the driver does not say. It is asked
    /// once: libtorch keeps the memory it has used, so that later the card looks full though it is not.
    /// </summary>
    public long? FreeDeviceMemory { get; }

    /// <summary>
    /// The same model, on the same weights, whose backward pass takes the scale of every norm (what it divides by; those of queries and
    /// keys too) for a constant. The forward pass is the same. It is the LN-rule of layer-wise relevance propagation (Ali et al. 2022, "XAI
    /// for Transformers: Better Explanations through Conservative Propagation").
    /// </summary>
    /// <returns>A view of this model, to be used no longer than it; there is nothing in it to dispose of.</returns>
    public Transformer WithFrozenNorms() => new(this, Weights, frozenNorms: true);

    /// <summary>The same model, whose layers' weights are these; otherwise as <see cref="WithFrozenNorms"/>.</summary>
    /// <param name="layers">The layers, first to last.</param>
    internal Transformer WithLayers(IReadOnlyList<LayerWeights> layers) => new(this, Weights with { Layers = layers }, _frozenNorms);

    /// <summary>The whole pass, token ids to the logits of every position.</summary>
    /// <param name="ids">[batch, position] int64</param>
    /// <returns>[batch, position, vocabulary]</returns>
    public Tensor Logits(Tensor ids)
    {
        Tensor resid = Embed(ids);                                            // [batch, position, d_model]
        for (int layer = 0; layer < Config.Layers; layer++)
        {
            var (q, k, v) = QueryKeyValue(layer, resid);                      // [batch, heads or kv_heads, position, d_head]
            Tensor z = Attend(layer, q, k, v);                                // [batch, heads, position, d_head]
            resid = ResidPost(layer, resid, z);
        }

        return Unembed(FinalNorm(resid));
    }

    /// <summary>Token embeddings, and position embeddings where positions are not rotary: resid_pre of layer 0.</summary>
    /// <param name="ids">[batch, position] int64</param>
    /// <returns>[batch, position, d_model]</returns>
    public Tensor Embed(Tensor ids)
    {
        Tensor tokens = Weights.EmbeddingRows(ids.flatten()).to(StreamDtype).unflatten(0, ids.shape); // [batch, position, d_model]
        if (Config.EmbeddingScale != 1)
        {
            tokens = tokens * tensor(Config.EmbeddingScale, dtype: StreamDtype);
        }

        return Weights.PositionEmbedding is { } positions
            ? tokens.Plus(positions.narrow(0, 0, ids.shape[1]))               // [position, d_model]
            : tokens;
    }

    /// <summary>hook_q, hook_k and hook_v of a layer.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="residPre">[batch, position, d_model]</param>
    /// <returns>q [batch, heads, position, d_head]; k and v, each [batch, kv_heads, position, d_head]</returns>
    public (Tensor Q, Tensor K, Tensor V) QueryKeyValue(int layer, Tensor residPre)
    {
        LayerWeights w = Weights.Layers[layer];
        Tensor qkv = Linear(AttentionNorm(layer, residPre), w.QueryKeyValueWeight, w.QueryKeyValueBias); // [batch, position, (heads + 2 * kv_heads) * d_head]
        Tensor[] parts = qkv.split([QueryWidth, KeyWidth, KeyWidth], dim: -1);
        return (SplitHeads(parts[0]), SplitHeads(parts[1]), SplitHeads(parts[2]));
    }

    /// <summary>hook_k and hook_v alone, for the last layer, where queries are needed at the last position only.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="normed">[batch, position, d_model], after <see cref="AttentionNorm"/></param>
    /// <returns>k, v, each [batch, kv_heads, position, d_head]</returns>
    public (Tensor K, Tensor V) KeyValue(int layer, Tensor normed)
    {
        Tensor[] parts = QueryKeyValueColumns(layer, normed, QueryWidth, 2 * KeyWidth).chunk(2, dim: -1);
        return (SplitHeads(parts[0]), SplitHeads(parts[1]));
    }

    /// <summary>hook_q alone.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="normed">[batch, position, d_model], after <see cref="AttentionNorm"/></param>
    /// <returns>[batch, heads, position, d_head]</returns>
    public Tensor Query(int layer, Tensor normed) => SplitHeads(QueryKeyValueColumns(layer, normed, 0, QueryWidth));

    /// <summary>hook_q of one head.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="normed">[batch, position, d_model], after <see cref="AttentionNorm"/></param>
    /// <param name="head">The head, from 0.</param>
    /// <returns>[batch, 1, position, d_head]</returns>
    public Tensor QueryOf(int layer, Tensor normed, int head) => OfOneHead(layer, normed, 0, head);

    /// <summary>hook_k of one key/value head; otherwise as <see cref="QueryOf"/>.</summary>
    /// <inheritdoc cref="QueryOf"/>
    public Tensor KeyOf(int layer, Tensor normed, int head) => OfOneHead(layer, normed, QueryWidth, head);

    /// <summary>hook_v of one key/value head; otherwise as <see cref="QueryOf"/>.</summary>
    /// <inheritdoc cref="QueryOf"/>
    public Tensor ValueOf(int layer, Tensor normed, int head) => OfOneHead(layer, normed, QueryWidth + KeyWidth, head);

    /// <summary>The norm before attention; the stream itself where there is none.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="residPre">[.., d_model]</param>
    /// <returns>[.., d_model]</returns>
    public Tensor AttentionNorm(int layer, Tensor residPre)
    {
        LayerWeights w = Weights.Layers[layer];
        return Norm(residPre, w.AttentionNormWeight, w.AttentionNormBias);
    }

    /// <summary>
    /// The softmaxed attention, <c>hook_pattern</c>: softmax(q k^T / sqrt(d_head)) with later positions, and those before the window, masked out
    /// (Vaswani et al. 2017, eq. 1). Used where the pattern itself is wanted; <see cref="Attend"/> mostly does without.
    /// </summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="q">[batch, heads, query, d_head], the last <c>query</c> positions of the prompt</param>
    /// <param name="k">[batch, kv_heads or heads, key, d_head], all positions</param>
    /// <returns>[batch, heads, query, key]</returns>
    public Tensor Pattern(int layer, Tensor q, Tensor k)
    {
        (q, k) = Meet(layer, q, k, firstKey: 0, k.shape[2]);
        return Softmax(layer, q, k, Mask(layer, q.shape[2], k.shape[2]), firstHead: 0);
    }

    /// <summary>z of every head from a pattern that is given.</summary>
    /// <param name="pattern">[batch, heads, query, key]</param>
    /// <param name="v">[batch, kv_heads or heads, key, d_head]</param>
    /// <returns>[batch, heads, query, d_head]</returns>
    public Tensor WeightedValues(Tensor pattern, Tensor v) => pattern.matmul(ForEveryQuery(v));

    /// <summary>
    /// z of every head, or of some in a row: the pattern times v, fused (the pattern is never stored). Where queries are normed all together, of all.
    /// </summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="q">[batch, heads, query, d_head], the last <c>query</c> positions of the prompt</param>
    /// <param name="k">[batch, kv_heads or heads, key, d_head], all positions; of the heads of <paramref name="q"/></param>
    /// <param name="v">[batch, kv_heads or heads, key, d_head]</param>
    /// <param name="promptLength">Positions of the prompt, where <paramref name="k"/> has only its first ones.</param>
    /// <param name="firstHead">The first head of <paramref name="q"/>.</param>
    /// <returns>[batch, heads, query, d_head]</returns>
    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v, long? promptLength = null, int firstHead = 0)
    {
        long queries = q.shape[2], keys = k.shape[2], length = promptLength ?? keys, unseen = 0;
        if (Config.Window(layer) is int window && keys > queries + window - 1)
        {
            // What is before the first query's window nobody sees.
            unseen = keys - (queries + window - 1);
            keys -= unseen;
            (k, v) = (k.narrow(2, unseen, keys), v.narrow(2, unseen, keys));
        }

        (q, k) = Meet(layer, q, k, unseen, length);
        v = ForEveryQuery(v, q.shape[1]);
        if (Config.ScoreCap is not null || Config.Sinks)
        {
            return Softmax(layer, q, k, Mask(layer, queries, keys), firstHead).matmul(v); // the fused one has neither
        }

        return queries == keys && (Config.Window(layer) ?? keys) >= keys
            ? F.scaled_dot_product_attention(q, k, v, is_casual: true)
            : F.scaled_dot_product_attention(q, k, v, attn_mask: Mask(layer, queries, keys)!);
    }

    /// <summary>
    /// b_V: the z of every head where all values are their bias, since a pattern's rows sum to 1 (with sinks to less, and z is less). 0 in
    /// families without one.
    /// </summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <returns>[1, heads, 1, d_head]</returns>
    public Tensor ValueBias(int layer)
    {
        Tensor bias = Weights.Layers[layer].QueryKeyValueBias?.narrow(0, QueryWidth + KeyWidth, KeyWidth) ?? zeros(KeyWidth, dtype: StreamDtype, device: Device);
        return ForEveryQuery(SplitHeads(bias.reshape(1, 1, -1)));
    }

    /// <summary>attn_out, from the z of all heads: what they write together, normed where the model norms it.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="z">[batch, heads, position, d_head]</param>
    /// <returns>[batch, position, d_model]</returns>
    public Tensor AttentionOut(int layer, Tensor z) => NormWritten(layer, HeadsOut(layer, z));

    /// <summary>What all heads write together, z W_O + b_O, before any norm.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="z">[batch, heads, position, d_head]</param>
    /// <returns>[batch, position, d_model]</returns>
    public Tensor HeadsOut(int layer, Tensor z)
    {
        LayerWeights w = Weights.Layers[layer];
        Tensor joined = z.transpose(1, 2).flatten(-2, -1);                    // [batch, position, heads * d_head]
        return Linear(joined, w.OutputWeight, w.OutputBias);
    }

    /// <summary>attn_out from what all heads write together: its norm, where the model has one there; else the same.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="written">[.., d_model]</param>
    /// <returns>[.., d_model]</returns>
    public Tensor NormWritten(int layer, Tensor written)
    {
        LayerWeights w = Weights.Layers[layer];
        return Config.NormPlace == NormPlace.AfterSum ? written : Norm(written, w.AttentionOutNormWeight, w.AttentionOutNormBias);
    }

    /// <summary>resid_mid from resid_pre + attn_out: its norm, where the model norms the stream itself; else the same.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="sum">[.., d_model]</param>
    /// <returns>[.., d_model]</returns>
    public Tensor ResidMid(int layer, Tensor sum)
    {
        LayerWeights w = Weights.Layers[layer];
        return Config.NormPlace == NormPlace.AfterSum ? Norm(sum, w.AttentionOutNormWeight, w.AttentionOutNormBias) : sum;
    }

    /// <summary>resid_post from resid_mid + mlp_out: its norm, where the model norms the stream itself; else the same.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="sum">[.., d_model]</param>
    /// <returns>[.., d_model]</returns>
    public Tensor ResidPost(int layer, Tensor sum)
    {
        LayerWeights w = Weights.Layers[layer];
        return Config.NormPlace == NormPlace.AfterSum ? Norm(sum, w.MlpOutNormWeight, w.MlpOutNormBias) : sum;
    }

    /// <summary>The residual stream after a layer, from that before it and the z of its heads.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="residPre">[batch, position, d_model]</param>
    /// <param name="z">[batch, heads, position, d_head]</param>
    /// <returns>[batch, position, d_model]</returns>
    public Tensor ResidPost(int layer, Tensor residPre, Tensor z)
    {
        Tensor residMid = ResidMid(layer, residPre.Plus(AttentionOut(layer, z)));
        return ResidPost(layer, residMid.Plus(MlpOut(layer, Config.ParallelResidual ? residPre : residMid)));
    }

    /// <summary>mlp_out, with the norms before and after it.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="resid">[.., d_model]: resid_mid, or resid_pre where the blocks are parallel</param>
    /// <returns>[.., d_model]</returns>
    public Tensor MlpOut(int layer, Tensor resid)
    {
        LayerWeights w = Weights.Layers[layer];
        Tensor normed = Norm(resid, w.MlpNormWeight, w.MlpNormBias);
        Tensor written = Config.Experts is null ? Mlp(w, normed) : MixtureOfExperts(w, normed, Config.Experts); // [.., d_model]
        return Config.NormPlace == NormPlace.AfterSum ? written : Norm(written, w.MlpOutNormWeight, w.MlpOutNormBias);
    }

    /// <summary>The norm before the unembedding; the stream itself where there is none.</summary>
    /// <param name="residPost">[.., d_model], resid_post of the last layer</param>
    /// <returns>[.., d_model]</returns>
    public Tensor FinalNorm(Tensor residPost) => Norm(residPost, Weights.FinalNormWeight, Weights.FinalNormBias);

    /// <summary>The logits of every token, in <see cref="StreamDtype"/>: the one product that rounds nothing, for metrics are made of it.</summary>
    /// <param name="normed">[.., d_model], after <see cref="FinalNorm"/></param>
    /// <returns>[.., vocabulary]</returns>
    public Tensor Unembed(Tensor normed) => ToLogits(MatrixProduct.Wide(normed, Weights.WholeUnembedding.t()), Weights.UnembeddingBias);

    /// <summary>Logits from the products of the normed stream with rows of the unembedding: with their bias, divided and soft-capped where the model does so.</summary>
    /// <param name="products">[.., tokens]</param>
    /// <param name="bias">The tokens' bias, [tokens]; null where the model has none.</param>
    /// <returns>[.., tokens]</returns>
    public Tensor ToLogits(Tensor products, Tensor? bias)
    {
        Tensor logits = bias is null ? products : products.Plus(bias);
        logits = Config.LogitDivisor == 1 ? logits : logits / tensor(Config.LogitDivisor);
        return Config.LogitCap is double cap ? SoftCap(logits, cap) : logits;
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        if (!_ownsWeights)
        {
            return;
        }

        foreach (Tensor tensor in Weights.All())
        {
            tensor.Dispose();
        }

        Weights.Streamed?.Dispose();
        _rotary?.Dispose();
        _slidingRotary?.Dispose();
    }

    /// <summary>What a norm over d_model multiplies by before its weight does, [.., 1].</summary>
    /// <param name="x">[.., d_model]</param>
    internal Tensor NormScale(Tensor x)
    {
        Tensor centred = Config.Norm == NormKind.Layer ? x - x.mean([-1], keepdim: true) : x;
        return centred.Squared().mean([-1], keepdim: true).AddInPlace(tensor(Config.NormEpsilon)).rsqrt_();
    }

    /// <summary>
    /// What the MLP writes, [rows, d_model], from its first products, the gate's first where there is one, [rows, d_mlp] each: with their biases, or
    /// without where they are of a type with fewer digits than the stream. The hidden layer, the largest tensor of all, is made in the place of
    /// the first of them where no gradient will ask for it.
    /// </summary>
    internal Tensor MlpFrom(LayerWeights w, Tensor[] first)
    {
        Tensor hidden = first[0];                                             // [rows, d_mlp]
        if (is_inference_mode_enabled())
        {
            RowBlocks.Each(first, block =>
            {
                Tensor made = Hidden(w, block);
                if (made.dtype != block[0].dtype)
                {
                    block[0].copy_(made); // rounded; otherwise it was made in that place
                }
            });
        }
        else
        {
            hidden = Hidden(w, first);
        }

        return MatrixProduct.Of(hidden, w.MlpOutWeight, w.MlpOutBias, StreamDtype);
    }

    private long QueryWidth => Config.Heads * Config.HeadWidth;

    private long KeyWidth => Config.KeyValueHeads * Config.HeadWidth;

    /// <summary>Queries and keys as they are multiplied: normed, turned by their positions, and a key for every query.</summary>
    private (Tensor Q, Tensor K) Meet(int layer, Tensor q, Tensor k, long firstKey, long promptLength)
    {
        if (Config.QueryKeyNorm != QueryKeyNorm.None)
        {
            q = NormQueriesOrKeys(q, Weights.Layers[layer].QueryNormWeight!);
            k = NormQueriesOrKeys(k, Weights.Layers[layer].KeyNormWeight!);
        }

        if ((Config.Window(layer) is null ? _rotary : _slidingRotary) is { } rotary)
        {
            q = rotary.Rotate(q, firstKey + k.shape[2] - q.shape[2], promptLength);
            k = rotary.Rotate(k, firstKey, promptLength);
        }

        // The fused attention and Softmax divide by sqrt(d_head).
        return (Config.ScoreScale is double scale ? q * tensor(scale * Math.Sqrt(Config.HeadWidth)) : q, ForEveryQuery(k, q.shape[1]));
    }

    /// <summary>[batch, heads, position, d_head], each head by itself or all of a position together.</summary>
    private Tensor NormQueriesOrKeys(Tensor x, Tensor weight) => Config.QueryKeyNorm == QueryKeyNorm.EachHead
        ? RmsNorm(x, weight)
        : SplitHeads(RmsNorm(x.transpose(1, 2).flatten(-2, -1), weight));     // [batch, position, heads * d_head]

    /// <summary>The pattern of queries and keys that have met: [batch, heads, query, key]</summary>
    private Tensor Softmax(int layer, Tensor q, Tensor k, Tensor? mask, int firstHead)
    {
        Tensor scores = q.matmul(k.transpose(-2, -1)) / tensor(Math.Sqrt(Config.HeadWidth)); // [batch, heads, query, key]
        scores = Config.ScoreCap is double cap ? SoftCap(scores, cap) : scores;
        scores = mask is null ? scores : scores.Plus(mask);
        if (!Config.Sinks)
        {
            return scores.softmax(-1);
        }

        Tensor sinks = Weights.Layers[layer].Sinks!.narrow(0, firstHead, scores.shape[1]).reshape(1, -1, 1, 1).expand(scores.shape[0], -1, scores.shape[2], 1); // [batch, heads, query, 1]
        return cat([scores, sinks], -1).softmax(-1).narrow(-1, 0, scores.shape[3]);
    }

    private static Tensor SoftCap(Tensor x, double cap) => (x / tensor(cap)).tanh() * tensor(cap);

    /// <summary>[batch, kv_heads or heads, ..] -> [batch, heads, ..]: each key/value head once for every query head that shares it.</summary>
    private Tensor ForEveryQuery(Tensor x, long? heads = null)
    {
        long sharing = (heads ?? Config.Heads) / x.shape[1];
        return sharing == 1 ? x : x.unsqueeze(2).expand(-1, -1, sharing, -1, -1).flatten(1, 2);
    }

    /// <summary>The norm over d_model; none where it has no weight.</summary>
    private Tensor Norm(Tensor x, Tensor? weight, Tensor? bias)
    {
        if (weight is null)
        {
            return x;
        }

        if (Config.Norm == NormKind.Rms)
        {
            return RmsNorm(x, weight);
        }

        if (!_frozenNorms)
        {
            return F.layer_norm(x, [Config.Width], weight, bias, Config.NormEpsilon);
        }

        // The fused one has no part that could be taken for a constant. A LayerNorm is an RMSNorm of x - mean(x), with a shift.
        Tensor normed = RmsNorm(x - x.mean([-1], keepdim: true), weight);
        return bias is null ? normed : normed.Plus(bias);
    }

    /// <summary>x / sqrt(mean(x^2) + epsilon) * weight, over the last dimension.</summary>
    private Tensor RmsNorm(Tensor x, Tensor weight)
    {
        Tensor measured = _frozenNorms ? x.detach() : x;
        Tensor scale = measured.Squared().mean([-1], keepdim: true).AddInPlace(tensor(Config.NormEpsilon)).rsqrt_(); // [.., 1]
        return x * scale * weight;
    }

    /// <summary>x W + b, for [.., in] and [in, out].</summary>
    private static Tensor Linear(Tensor x, Tensor weight, Tensor? bias)
    {
        Tensor rows = x.reshape(-1, x.shape[^1]);                             // [rows, in]
        long[] shape = [.. x.shape[..^1], weight.shape[1]];
        return MatrixProduct.Of(rows, weight, bias).reshape(shape);
    }

    /// <summary>The products with some columns of W_Q, W_K and W_V side by side, [.., columns].</summary>
    private Tensor QueryKeyValueColumns(int layer, Tensor normed, long first, long columns)
    {
        LayerWeights w = Weights.Layers[layer];
        return Linear(normed, w.QueryKeyValueWeight.narrow(1, first, columns), w.QueryKeyValueBias?.narrow(0, first, columns));
    }

    /// <summary>[batch, 1, position, d_head]</summary>
    private Tensor OfOneHead(int layer, Tensor normed, long first, int head) =>
        QueryKeyValueColumns(layer, normed, first + (head * (long)Config.HeadWidth), Config.HeadWidth).unsqueeze(1);

    /// <summary>[batch, position, heads * d_head] -> [batch, heads, position, d_head]</summary>
    private Tensor SplitHeads(Tensor x) => x.view(x.shape[0], x.shape[1], -1, Config.HeadWidth).transpose(1, 2);

    /// <summary>
    /// [query, key]: 0 where the query may look, -infinity at keys after it and before its window; the queries are the last positions. Null
    /// where all may look everywhere.
    /// </summary>
    private Tensor? Mask(int layer, long queries, long keys)
    {
        bool windowed = Config.Window(layer) < keys;
        if (queries == 1 && !windowed)
        {
            return null;
        }

        Tensor never = tensor(double.NegativeInfinity, StreamDtype, Device).expand(queries, keys);
        Tensor later = never.triu(keys - queries + 1);
        return windowed ? later.Plus(never.tril(keys - queries - Config.Window(layer)!.Value)) : later;
    }

    private Tensor Mlp(LayerWeights w, Tensor normed)
    {
        Tensor rows = normed.reshape(-1, normed.shape[^1]);                   // [rows, d_model]
        Tensor[] first = w.MlpGateWeight is { } gate ? [First(gate, w.MlpGateBias), First(w.MlpInWeight, w.MlpInBias)] : [First(w.MlpInWeight, w.MlpInBias)];
        return MlpFrom(w, first).reshape(normed.shape);

        // [rows, d_mlp]
        Tensor First(Tensor weight, Tensor? bias) => weight.dtype == StreamDtype ? MatrixProduct.Of(rows, weight, bias) : MatrixProduct.Rounded(rows, weight);
    }

    /// <summary>The MLP's hidden layer from its first products, which are overwritten where no gradient will ask for them: [rows, d_mlp]</summary>
    private Tensor Hidden(LayerWeights w, Tensor[] first)
    {
        if (w.MlpGateWeight is null)
        {
            return Activate(Wide(first[0], w.MlpInBias));
        }

        Tensor gate = Activate(Wide(first[0], w.MlpGateBias)), x = Wide(first[1], w.MlpInBias);
        return is_inference_mode_enabled() ? gate.mul_(x) : gate * x;

        Tensor Wide(Tensor product, Tensor? bias) => product.dtype == StreamDtype ? product : MatrixProduct.Widened(product, bias, StreamDtype);
    }

    /// <summary>gpt-oss's experts, one after another, each over the positions that chose it.</summary>
    private static Tensor MixtureOfExperts(LayerWeights w, Tensor normed, Experts experts)
    {
        Tensor rows = normed.reshape(-1, normed.shape[^1]);                   // [rows, d_model]
        var (scores, chosen) = Linear(rows, w.RouterWeight!, w.RouterBias).topk(experts.Chosen, dim: -1); // [rows, chosen]
        Tensor shares = scores.softmax(-1);                                   // [rows, chosen]
        Tensor written = zeros_like(rows);                                    // [rows, d_model]
        for (int expert = 0; expert < experts.Count; expert++)
        {
            using var scope = NewDisposeScope();
            Tensor[] at = [.. chosen.eq(tensor((long)expert)).nonzero().unbind(1)]; // which rows, and as which of their choices: [own] each
            Tensor own = rows.index_select(0, at[0]);                         // [own, d_model]
            Tensor gate = minimum(Linear(own, w.MlpGateWeight![expert], w.MlpGateBias![expert]), tensor(experts.Limit)); // [own, d_mlp]
            Tensor up = minimum(Linear(own, w.MlpInWeight[expert], w.MlpInBias![expert]), tensor(experts.Limit)).maximum(tensor(-experts.Limit));
            Tensor hidden = up.Plus(tensor(1.0)) * gate * (gate * tensor(ExpertSlope)).sigmoid();
            Tensor share = shares.flatten().index_select(0, (at[0] * tensor((long)experts.Chosen)).Plus(at[1])).unsqueeze(-1); // [own, 1]
            written.index_add_(0, at[0], Linear(hidden, w.MlpOutWeight[expert], w.MlpOutBias![expert]) * share, Sums.One);
        }

        return written.reshape(normed.shape);
    }

    /// <summary>The activation function, in place where no gradient will ask for x: the hidden layer is the largest tensor of all.</summary>
    private Tensor Activate(Tensor x)
    {
        bool inPlace = is_inference_mode_enabled();
        return Config.Activation switch
        {
            Activation.Gelu => F.gelu(x, inPlace),
            Activation.GeluTanh => inPlace && Device.type == DeviceType.CPU
                ? GeluBySigmoid(x)
                : F.gelu(x, GELU.Approximate.tanh, inPlace),
            Activation.Relu => F.relu(x, inPlace),
            Activation.Silu => F.silu(x, inPlace),
            _ => throw new NotSupportedException($"Activation {Config.Activation}."),
        };
    }

    /// <summary>
    /// GELU's tanh form in place, as x sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3): the same, for (1 + tanh u) / 2 = sigmoid(2 u), and
    /// as exact, but on a CPU, whose tanh is slow, it takes 0.6 times as long.
    /// </summary>
    private static Tensor GeluBySigmoid(Tensor x)
    {
        Tensor gate = tensor(GeluLinear, dtype: x.dtype).addcmul(x, x, GeluCubic);      // 2 u / x
        return x.mul_(gate.mul_(x).sigmoid_());
    }
}
