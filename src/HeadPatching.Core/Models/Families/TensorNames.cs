namespace HeadPatching.Core.Models.Families;

/// <summary>How a family names its tensors in weights files.</summary>
/// <param name="Prefixes">
/// What stands before the names in files saved from the model with its unembedding, one or another; files saved from the model alone do without.
/// </param>
/// <param name="Layer">What stands before a layer's number, after the prefix.</param>
/// <param name="Embedding">The token embedding, after the prefix.</param>
/// <param name="Unembedding">How the names of the unembedding's tensors begin, which never have the prefix.</param>
/// <param name="Buffers">How the names of tensors within a layer end that are no parameters: masks and frequencies that old files hold.</param>
internal sealed record TensorNames(IReadOnlyList<string> Prefixes, string Layer, string Embedding, string Unembedding, IReadOnlyList<string> Buffers)
{
    /// <summary>The matrix of the unembedding, where it is not the embedding's.</summary>
    public string UnembeddingMatrix => Unembedding.EndsWith(".weight", StringComparison.Ordinal) ? Unembedding : Unembedding + ".weight";

    /// <summary>How the names of tensors end that are bytes, not floating-point numbers: packed weights.</summary>
    public IReadOnlyList<string> Bytes { get; init; } = [];

    /// <summary>
    /// What is in the names of matrices that are kept in the stream's type: added to the stream (position embeddings), of a choice that a small change turns
    /// (routers), or multiplied with each other before they are rounded.
    /// </summary>
    public IReadOnlyList<string> Wide { get; init; } = [];
}
