namespace HeadPatching.Core.Models;

/// <summary>
/// The shape of a transformer and the choices in which families differ, read from a Hugging Face config.json. The forward pass knows
/// only this record, never a family's name.
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

    /// <summary>d_head: the width of one head.</summary>
    public required int HeadWidth { get; init; }

    /// <summary>d_model: the width of the residual stream.</summary>
    public required int Width { get; init; }

    /// <summary>d_mlp: the width of the MLP's hidden layer.</summary>
    public required int MlpWidth { get; init; }

    /// <summary>The most positions a prompt may have.</summary>
    public required int Context { get; init; }

    /// <summary>Number of token ids.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>The epsilon of the norms.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>The MLP's activation function.</summary>
    public required Activation Activation { get; init; }

    /// <summary>
    /// Whether attention and MLP of a layer both read resid_pre (GPT-NeoX), so that there is no resid_mid; otherwise the MLP reads what
    /// attention has written.
    /// </summary>
    public bool ParallelResidual { get; init; }

    /// <summary>The token id put before text prompts, or null where the model has none.</summary>
    public int? BosId { get; init; }

    /// <summary>Whether the unembedding is the embedding transposed.</summary>
    public required bool TiedUnembedding { get; init; }
}
