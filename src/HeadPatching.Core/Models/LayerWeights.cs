using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>
/// The weights of one layer; null are those that its family does not have. Matrices are [in, out], as GPT-2 stores them: a row vector of
/// activations is multiplied from the left.
/// </summary>
public sealed record LayerWeights
{
    /// <summary>Scale of the norm before attention, [d_model].</summary>
    public required Tensor AttentionNormWeight { get; init; }

    /// <summary>Shift of the norm before attention, [d_model].</summary>
    public Tensor? AttentionNormBias { get; init; }

    /// <summary>W_Q, W_K and W_V side by side, [d_model, (heads + 2 * kv_heads) * d_head]; within each, head after head.</summary>
    public required Tensor QueryKeyValueWeight { get; init; }

    /// <summary>Their biases, [(heads + 2 * kv_heads) * d_head].</summary>
    public Tensor? QueryKeyValueBias { get; init; }

    /// <summary>Scale of the norm of each query, [d_head], the same for all heads.</summary>
    public Tensor? QueryNormWeight { get; init; }

    /// <summary>Scale of the norm of each key, [d_head], the same for all heads.</summary>
    public Tensor? KeyNormWeight { get; init; }

    /// <summary>W_O, [heads * d_head, d_model]: what turns every head's z into its part of attn_out.</summary>
    public required Tensor OutputWeight { get; init; }

    /// <summary>b_O, [d_model].</summary>
    public Tensor? OutputBias { get; init; }

    /// <summary>Scale of the norm before the MLP, [d_model].</summary>
    public required Tensor MlpNormWeight { get; init; }

    /// <summary>Shift of the norm before the MLP, [d_model].</summary>
    public Tensor? MlpNormBias { get; init; }

    /// <summary>W_gate of a gated MLP, [d_model, d_mlp].</summary>
    public Tensor? MlpGateWeight { get; init; }

    /// <summary>b_gate of a gated MLP, [d_mlp].</summary>
    public Tensor? MlpGateBias { get; init; }

    /// <summary>W_in of the MLP, [d_model, d_mlp].</summary>
    public required Tensor MlpInWeight { get; init; }

    /// <summary>b_in of the MLP, [d_mlp].</summary>
    public Tensor? MlpInBias { get; init; }

    /// <summary>W_out of the MLP, [d_mlp, d_model].</summary>
    public required Tensor MlpOutWeight { get; init; }

    /// <summary>b_out of the MLP, [d_model].</summary>
    public Tensor? MlpOutBias { get; init; }

    /// <summary>Every tensor of the layer, for counting, moving and training.</summary>
    public IEnumerable<Tensor> All() =>
        new[]
        {
            AttentionNormWeight, AttentionNormBias, QueryKeyValueWeight, QueryKeyValueBias, QueryNormWeight, KeyNormWeight, OutputWeight, OutputBias,
            MlpNormWeight, MlpNormBias, MlpGateWeight, MlpGateBias, MlpInWeight, MlpInBias, MlpOutWeight, MlpOutBias,
        }.OfType<Tensor>();
}
