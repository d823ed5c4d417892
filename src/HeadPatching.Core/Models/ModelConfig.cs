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

    /// <summary>
    /// Whether <see cref="Context"/> is the width of the model's sliding window: up to it, attention over all positions before is the same,
    /// and beyond it is not.
    /// </summary>
    public bool ContextIsSlidingWindow { get; init; }

    /// <summary>Number of token ids.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>The kind of all norms.</summary>
    public NormKind Norm { get; init; }

    /// <summary>The epsilon of the norms.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>The MLP's activation function.</summary>
    public required Activation Activation { get; init; }

    /// <summary>Whether the MLP is gated: out(activation(gate(x)) * in(x)) instead of out(activation(in(x))) (Shazeer 2020).</summary>
    public bool GatedMlp { get; init; }

    /// <summary>Rotary positions; null where positions have learned embeddings.</summary>
    public Rotary? Rotary { get; init; }

    /// <summary>
    /// Whether attention and MLP of a block both read resid_pre: resid_post = resid_pre + attn_out + mlp_out. Such a block has no
    /// resid_mid; otherwise the MLP reads resid_mid = resid_pre + attn_out.
    /// </summary>
    public bool ParallelResidual { get; init; }

    /// <summary>Whether each query and key goes through an RMSNorm of its own before it is turned by its position (Henry et al. 2020).</summary>
    public bool QueryKeyNorm { get; init; }

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
}
