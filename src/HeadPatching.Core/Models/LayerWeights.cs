using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>
/// The weights of one layer; null are those that its family does not have. Matrices are [in, out], as GPT-2 has them: a row vector of
/// activations is multiplied from the left. Products are fastest where they lie in memory as [out, in], as folders are read. W_O, b_O, W_out
/// and b_out hold <see cref="ModelConfig.WrittenScale"/>, so that what heads write is what the stream gets.
/// </summary>
public sealed record LayerWeights
{
    /// <summary>Scale of the norm before attention, [d_model].</summary>
    public Tensor? AttentionNormWeight { get; init; }

    /// <summary>Shift of the norm before attention, [d_model].</summary>
    public Tensor? AttentionNormBias { get; init; }

    /// <summary>W_Q, W_K and W_V side by side, [d_model, (heads + 2 * kv_heads) * d_head]; within each, head after head.</summary>
    public required Tensor QueryKeyValueWeight { get; init; }

    /// <summary>Their biases, [(heads + 2 * kv_heads) * d_head].</summary>
    public Tensor? QueryKeyValueBias { get; init; }

    /// <summary>Scale of the norm of queries: [d_head], the same for all heads, or [heads * d_head] where they are normed together.</summary>
    public Tensor? QueryNormWeight { get; init; }

    /// <summary>Scale of the norm of keys: [d_head], the same for all heads, or [kv_heads * d_head] where they are normed together.</summary>
    public Tensor? KeyNormWeight { get; init; }

    /// <summary>The logit of each head that joins the softmax over its scores, [heads].</summary>
    public Tensor? Sinks { get; init; }

    /// <summary>W_O, [heads * d_head, d_model]: what turns every head's z into its part of attn_out.</summary>
    public required Tensor OutputWeight { get; init; }

    /// <summary>b_O, [d_model].</summary>
    public Tensor? OutputBias { get; init; }

    /// <summary>Scale of the norm after attention, of attn_out or of the stream with it, [d_model].</summary>
    public Tensor? AttentionOutNormWeight { get; init; }

    /// <summary>Shift of the norm after attention, [d_model].</summary>
    public Tensor? AttentionOutNormBias { get; init; }

    /// <summary>Scale of the norm before the MLP, [d_model].</summary>
    public Tensor? MlpNormWeight { get; init; }

    /// <summary>Shift of the norm before the MLP, [d_model].</summary>
    public Tensor? MlpNormBias { get; init; }

    /// <summary>W_router of a mixture of experts, [d_model, experts].</summary>
    public Tensor? RouterWeight { get; init; }

    /// <summary>b_router of a mixture of experts, [experts].</summary>
    public Tensor? RouterBias { get; init; }

    /// <summary>W_gate of a gated MLP, [d_model, d_mlp]; here and below, in a mixture [experts, ..].</summary>
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

    /// <summary>Scale of the norm after the MLP, of mlp_out or of the stream with it, [d_model].</summary>
    public Tensor? MlpOutNormWeight { get; init; }

    /// <summary>Shift of the norm after the MLP, [d_model].</summary>
    public Tensor? MlpOutNormBias { get; init; }

    /// <summary>What is done with z and with what an MLP writes, W_O and b_O and the norms behind, in memory of its own: for who needs no more of a streamed layer, but longer than it is there.</summary>
    /// <returns>The layer with these for its own; the caller disposes of <see cref="Written"/>.</returns>
    internal LayerWeights WithOwnWritten()
    {
        return this with
        {
            OutputWeight = Own(OutputWeight)!,
            OutputBias = Own(OutputBias),
            AttentionOutNormWeight = Own(AttentionOutNormWeight),
            AttentionOutNormBias = Own(AttentionOutNormBias),
            MlpOutNormWeight = Own(MlpOutNormWeight),
            MlpOutNormBias = Own(MlpOutNormBias),
        };

        static Tensor? Own(Tensor? tensor) => tensor?.clone().DetachFromDisposeScope();
    }

    /// <summary>What <see cref="WithOwnWritten"/> holds.</summary>
    internal IEnumerable<Tensor> Written() =>
        new[] { OutputWeight, OutputBias, AttentionOutNormWeight, AttentionOutNormBias, MlpOutNormWeight, MlpOutNormBias }.OfType<Tensor>();

    /// <summary>Every tensor of the layer once (GPT-J's two norms are one), for counting, moving and training.</summary>
    public IEnumerable<Tensor> All() =>
        new[]
        {
            AttentionNormWeight, AttentionNormBias, QueryKeyValueWeight, QueryKeyValueBias, QueryNormWeight, KeyNormWeight, Sinks, OutputWeight, OutputBias,
            AttentionOutNormWeight, AttentionOutNormBias, MlpNormWeight, MlpNormBias, RouterWeight, RouterBias, MlpGateWeight, MlpGateBias,
            MlpInWeight, MlpInBias, MlpOutWeight, MlpOutBias, MlpOutNormWeight, MlpOutNormBias,
        }.OfType<Tensor>().Distinct<Tensor>(ReferenceEqualityComparer.Instance);
}
