namespace HeadPatching.Core.Models;

/// <summary>What a model's weights take in memory, in bytes of the type it computes in: by its shape alone.</summary>
/// <param name="All">All of them.</param>
/// <param name="LargestLayer">Its largest layer.</param>
/// <param name="LargestTensor">The largest tensor of a layer.</param>
/// <param name="TokenMatrix">The unembedding, a row for each token.</param>
/// <param name="Held">What is in memory also where the others are streamed: position embeddings, the final norm.</param>
/// <param name="Written">W_O of all layers and the norms behind, which edges hold also where the others are streamed.</param>
public sealed record WeightBytes(long All, long LargestLayer, long LargestTensor, long TokenMatrix, long Held, long Written)
{
    /// <summary>
    /// The most at a time where they are streamed: two layers and a tensor as it is read, or, for a metric that needs every token's logit, the unembedding.
    /// </summary>
    /// <param name="everyToken">Whether a metric needs every token's logit.</param>
    /// <param name="ofEdges">Whether edges are patched or estimated.</param>
    public long Streamed(bool everyToken, bool ofEdges) => Held + (ofEdges ? Written : 0) + Math.Max((2 * LargestLayer) + LargestTensor, everyToken ? TokenMatrix : 0);
}
