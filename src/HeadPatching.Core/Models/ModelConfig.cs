namespace HeadPatching.Core.Models;

/// <summary>
/// The shape of a transformer and the choices in which families differ, read from a Hugging Face config.json. The forward pass knows
/// only this record, never a family's name. What is not set is as GPT-2 has it.
/// </summary>
public sealed record ModelConfig
{
    /// <summary>The family as config.json names it (<c>model_type</c>), for messages and results.</summary>
    public required string Family { get; init; }

    /// <summary>Number of layers.</summary>
    public required int Layers { get; init; }

    /// <summary>Attention heads a layer.</summary>
    public required int Heads { get; init; }

    /// <summary>Key/value heads a layer: <see cref="Heads"/>, or a divisor of it in a grouped-query model.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>d_head: the width of one head; often, but not always, <see cref="Width"/> / <see cref="Heads"/>.</summary>
    public required int HeadWidth { get; init; }

    /// <summary>d_model: the width of the residual stream.</summary>
    public required int Width { get; init; }

    /// <summary>d_mlp: the width of the MLP's hidden layer.</summary>
    public required int MlpWidth { get; init; }

    /// <summary>The most positions a prompt may have.</summary>
    public required int Context { get; init; }

    /// <summary>Number of token ids.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>The kind of all norms.</summary>
    public NormKind Norm { get; init; }

    /// <summary>Where a layer has its norms. Only where that is <see cref="NormPlace.Before"/> does the stream hold the sum of what heads write.</summary>
    public NormPlace NormPlace { get; init; }

    /// <summary>Whether the stream is normed once more before the unembedding.</summary>
    public bool FinalNorm { get; init; } = true;

    /// <summary>The epsilon of the norms.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>The MLP's activation function.</summary>
    public required Activation Activation { get; init; }

    /// <summary>Whether the MLP is gated: out(activation(gate(x)) * in(x)) instead of out(activation(in(x))) (Shazeer 2020).</summary>
    public bool GatedMlp { get; init; }

    /// <summary>Rotary positions; null where positions have learned embeddings.</summary>
    public Rotary? Rotary { get; init; }

    /// <summary>Those of the layers with a sliding window, where they are others than <see cref="Rotary"/>.</summary>
    public Rotary? SlidingRotary { get; init; }

    /// <summary>
    /// How many positions a query of a layer with a sliding window sees, the last ones up to its own (Beltagy et al. 2020, "Longformer"); null
    /// where no layer has one.
    /// </summary>
    public int? SlidingWindow { get; init; }

    /// <summary>Whether each layer has the sliding window, first to last; empty where none has.</summary>
    public IReadOnlyList<bool> Sliding { get; init; } = [];

    /// <summary>What the products of queries and keys are multiplied by; null: 1 / sqrt(d_head).</summary>
    public double? ScoreScale { get; init; }

    /// <summary>The soft cap of attention's scores: cap * tanh(score / cap), before the mask (Gemma 2); null for none.</summary>
    public double? ScoreCap { get; init; }

    /// <summary>
    /// Whether each head has a logit of its own that joins the softmax over its scores, and to which attention can go that shall go nowhere
    /// (gpt-oss; Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks"). Rows of its pattern then sum to less than 1.
    /// </summary>
    public bool Sinks { get; init; }

    /// <summary>The width of the embeddings in the weights, where it is not <see cref="Width"/>: matrices to it and back are in <see cref="TransformerWeights"/>.</summary>
    public int? EmbeddingWidth { get; init; }

    /// <summary>What embeddings are multiplied by before they enter the stream; the unembedding takes them as they are.</summary>
    public double EmbeddingScale { get; init; } = 1;

    /// <summary>What attn_out and mlp_out are multiplied by before they enter the stream. It is in the weights: see <see cref="LayerWeights"/>.</summary>
    public double WrittenScale { get; init; } = 1;

    /// <summary>What logits are divided by.</summary>
    public double LogitDivisor { get; init; } = 1;

    /// <summary>The soft cap of the logits: cap * tanh(logit / cap); null for none.</summary>
    public double? LogitCap { get; init; }

    /// <summary>Whether the logits have a bias.</summary>
    public bool UnembeddingBias { get; init; }

    /// <summary>The MLP's experts, where it is a mixture; null where it is one.</summary>
    public Experts? Experts { get; init; }

    /// <summary>
    /// Whether attention and MLP of a block both read resid_pre: resid_post = resid_pre + attn_out + mlp_out. Such a block has no
    /// resid_mid; otherwise the MLP reads resid_mid = resid_pre + attn_out.
    /// </summary>
    public bool ParallelResidual { get; init; }

    /// <summary>The norm of queries and keys.</summary>
    public QueryKeyNorm QueryKeyNorm { get; init; }

    /// <summary>Whether W_Q, W_K and W_V have biases.</summary>
    public bool QueryKeyValueBias { get; init; } = true;

    /// <summary>Whether W_O has a bias.</summary>
    public bool OutputBias { get; init; } = true;

    /// <summary>Whether the MLP's matrices have biases.</summary>
    public bool MlpBias { get; init; } = true;

    /// <summary>The token id put before text prompts, or null where none is.</summary>
    public int? BosId { get; init; }

    /// <summary>The BOS that there is beside, though texts do not begin with it: Qwen's and Pythia's, or one that was asked to be left out.</summary>
    public int? UnusedBosId { get; init; }

    /// <summary>Whether the unembedding is the embedding transposed.</summary>
    public required bool TiedUnembedding { get; init; }

    /// <summary>How many positions a layer's queries see, the last ones up to their own; null for all.</summary>
    /// <param name="layer">Layer, from 0.</param>
    public int? Window(int layer) => layer < Sliding.Count && Sliding[layer] ? SlidingWindow : null;
}

/// <summary>
/// The experts of a layer: MLPs of which each position takes the few that its router scores highest, weighted by the softmax of those scores
/// (Shazeer et al. 2017, "Outrageously Large Neural Networks").
/// </summary>
/// <param name="Count">How many there are.</param>
/// <param name="Chosen">How many a position takes.</param>
/// <param name="Limit">Where an expert's gate (from above) and its other half (from both sides) are cut off.</param>
public sealed record Experts(int Count, int Chosen, double Limit)
{
    /// <summary>Whether the weights hold them in MXFP4, to be unpacked when they are read.</summary>
    public bool Packed { get; init; }
}
