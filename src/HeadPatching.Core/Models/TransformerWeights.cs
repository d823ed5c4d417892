using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>
/// The weights of a transformer, on one device. Its matrices are of one dtype; vectors (norms, biases, sinks), position embeddings and routers, which take little
/// room, are of the stream's (<see cref="Dtypes.OfStream"/>). Embedding and unembedding hold the matrices between a narrower embedding and the stream
/// (<see cref="ModelConfig.EmbeddingWidth"/>), where there are any.
/// </summary>
public sealed record TransformerWeights
{
    /// <summary>W_E, [vocabulary, d_model]; of streamed weights its shape alone (<see cref="EmbeddingRows"/>).</summary>
    public required Tensor TokenEmbedding { get; init; }

    /// <summary>W_pos, [context, d_model]; null where positions are rotary.</summary>
    public Tensor? PositionEmbedding { get; init; }

    /// <summary>The layers, first to last; streamed ones are read when they are asked for.</summary>
    public required IReadOnlyList<LayerWeights> Layers { get; init; }

    /// <summary>Scale of the final norm, [d_model]; null where there is no such norm.</summary>
    public Tensor? FinalNormWeight { get; init; }

    /// <summary>Shift of the final norm, [d_model]; null where the norms have none.</summary>
    public Tensor? FinalNormBias { get; init; }

    /// <summary>The unembedding with a row for each token, [vocabulary, d_model]; the same tensor as <see cref="TokenEmbedding"/> where tied; of streamed weights its shape alone (<see cref="UnembeddingRows"/>, <see cref="WholeUnembedding"/>).</summary>
    public required Tensor Unembedding { get; init; }

    /// <summary>The bias of the logits, [vocabulary]; null where there is none.</summary>
    public Tensor? UnembeddingBias { get; init; }

    /// <summary>What reads the weights from their files when they are used; null where they are held.</summary>
    public StreamedWeights? Streamed { get; init; }

    /// <summary>Rows of the token embedding.</summary>
    /// <param name="ids">[rows] int64</param>
    /// <returns>[rows, d_model]</returns>
    public Tensor EmbeddingRows(Tensor ids) => IsHeld(TokenEmbedding) ? TokenEmbedding.index_select(0, ids) : Streamed!.EmbeddingRows(ids);

    /// <summary>Rows of the unembedding.</summary>
    /// <inheritdoc cref="EmbeddingRows"/>
    public Tensor UnembeddingRows(Tensor ids) => IsHeld(Unembedding) ? Unembedding.index_select(0, ids) : Streamed!.UnembeddingRows(ids);

    /// <summary>All of <see cref="Unembedding"/>; of streamed weights for use until a layer is asked for.</summary>
    public Tensor WholeUnembedding => IsHeld(Unembedding) ? Unembedding : Streamed!.Unembedding;

    /// <summary>Where they are, or are read to.</summary>
    public Device Device => (FinalNormWeight ?? PositionEmbedding ?? TokenEmbedding).device;

    /// <summary>Every tensor once (a tied unembedding is not named twice), for counting, moving and training; of streamed weights those that are held.</summary>
    public IEnumerable<Tensor> All()
    {
        IEnumerable<Tensor?> all = [TokenEmbedding, PositionEmbedding, .. Streamed is null ? Layers.SelectMany(layer => layer.All()) : [], FinalNormWeight, FinalNormBias, UnembeddingBias];
        return (ReferenceEquals(Unembedding, TokenEmbedding) ? all : all.Append(Unembedding)).OfType<Tensor>();
    }

    private static bool IsHeld(Tensor matrix) => matrix.device_type != DeviceType.META;
}
