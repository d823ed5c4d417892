using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>
/// The weights of a transformer, on one device. Its matrices are of one dtype; vectors (norms, biases, sinks), position embeddings and routers, which take little
/// room, are of the stream's (<see cref="Dtypes.OfStream"/>). Embedding and unembedding hold the matrices between a narrower embedding and the stream
/// (<see cref="ModelConfig.EmbeddingWidth"/>), where there are any.
/// </summary>
public sealed record TransformerWeights
{
    /// <summary>W_E, [vocabulary, d_model].</summary>
    public required Tensor TokenEmbedding { get; init; }

    /// <summary>W_pos, [context, d_model]; null where positions are rotary.</summary>
    public Tensor? PositionEmbedding { get; init; }

    /// <summary>The layers, first to last.</summary>
    public required IReadOnlyList<LayerWeights> Layers { get; init; }

    /// <summary>Scale of the final norm, [d_model]; null where there is no such norm.</summary>
    public Tensor? FinalNormWeight { get; init; }

    /// <summary>Shift of the final norm, [d_model]; null where the norms have none.</summary>
    public Tensor? FinalNormBias { get; init; }

    /// <summary>The unembedding with a row for each token, [vocabulary, d_model]; the same tensor as <see cref="TokenEmbedding"/> where tied.</summary>
    public required Tensor Unembedding { get; init; }

    /// <summary>The bias of the logits, [vocabulary]; null where there is none.</summary>
    public Tensor? UnembeddingBias { get; init; }

    /// <summary>Every tensor once (a tied unembedding is not named twice), for counting, moving and training.</summary>
    public IEnumerable<Tensor> All()
    {
        IEnumerable<Tensor?> all = [TokenEmbedding, PositionEmbedding, .. Layers.SelectMany(layer => layer.All()), FinalNormWeight, FinalNormBias, UnembeddingBias];
        return (ReferenceEquals(Unembedding, TokenEmbedding) ? all : all.Append(Unembedding)).OfType<Tensor>();
    }
}
