namespace HeadPatching.Core.Models.Families;

/// <summary>How a family names its tensors in weights files.</summary>
/// <param name="Prefix">
/// What stands before the names in files saved from the model with its unembedding; files saved from the model alone do without.
/// </param>
/// <param name="Layer">What stands before a layer's number, after the prefix.</param>
/// <param name="Unembedding">The one tensor that never has the prefix.</param>
/// <param name="Buffers">How the names of tensors within a layer end that are no parameters: masks and frequencies that old files hold.</param>
internal sealed record TensorNames(string Prefix, string Layer, string Unembedding, IReadOnlyList<string> Buffers);
