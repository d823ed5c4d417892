using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>
/// The weights of one layer. Matrices are [in, out], as GPT-2 stores them: a row vector of activations is multiplied from the left.
/// </summary>
public sealed record LayerWeights
{
    /// <summary>Scale of the norm before attention, [d_model].</summary>
    public required Tensor AttentionNormWeight { get; init; }

    /// <summary>Shift of the norm before attention, [d_model].</summary>
    public required Tensor AttentionNormBias { get; init; }

    /// <summary>W_Q, W_K and W_V side by side, [d_model, 3 * heads * d_head]; within each, head after head.</summary>
    public required Tensor QueryKeyValueWeight { get; init; }

    /// <summary>Their biases, [3 * heads * d_head].</summary>
    public required Tensor QueryKeyValueBias { get; init; }

    /// <summary>W_O, [heads * d_head, d_model]: what turns every head's z into its part of attn_out.</summary>
    public required Tensor OutputWeight { get; init; }

    /// <summary>b_O, [d_model].</summary>
    public required Tensor OutputBias { get; init; }

    /// <summary>Scale of the norm before the MLP, [d_model].</summary>
    public required Tensor MlpNormWeight { get; init; }

    /// <summary>Shift of the norm before the MLP, [d_model].</summary>
    public required Tensor MlpNormBias { get; init; }

    /// <summary>W_in of the MLP, [d_model, d_mlp].</summary>
    public required Tensor MlpInWeight { get; init; }

    /// <summary>b_in of the MLP, [d_mlp].</summary>
    public required Tensor MlpInBias { get; init; }

    /// <summary>W_out of the MLP, [d_mlp, d_model].</summary>
    public required Tensor MlpOutWeight { get; init; }

    /// <summary>b_out of the MLP, [d_model].</summary>
    public required Tensor MlpOutBias { get; init; }

    /// <summary>Every tensor of the layer, for counting, moving and training.</summary>
    public IEnumerable<Tensor> All() =>
    [
        AttentionNormWeight, AttentionNormBias, QueryKeyValueWeight, QueryKeyValueBias, OutputWeight, OutputBias,
        MlpNormWeight, MlpNormBias, MlpInWeight, MlpInBias, MlpOutWeight, MlpOutBias,
    ];
}
