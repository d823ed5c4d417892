using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>
/// What a patch does to its own layer: from the layer's activations in both runs to the replaced z of each head. Replacing z, q, k, v
/// or the pattern of a head changes only that head's z in that layer (but see <see cref="ReachesOtherHeads"/>), so this is all in which one
/// patch differs from another; <see cref="SuffixRun"/> does the rest for all of them.
/// </summary>
public interface IIntervention
{
    /// <summary>TransformerLens's name of the hook within a layer, such as <c>attn.hook_z</c>.</summary>
    string Hook { get; }

    /// <summary>
    /// Whether replacing at a position changes z only at that position (z, q, pattern), or also at those after it, which look at it (k, v).
    /// </summary>
    bool OnlyOwnPosition { get; }

    /// <summary>Whether what is replaced belongs to a key/value head, which in a grouped-query model serves several heads.</summary>
    bool OfKeyValueHeads => false;

    /// <summary>
    /// Whether replacing it in one head changes the z of others in that layer: where queries, or keys, are normed all together
    /// (<see cref="QueryKeyNorm.AllHeads"/>).
    /// </summary>
    /// <param name="config">The model's shape.</param>
    bool ReachesOtherHeads(ModelConfig config) => false;

    /// <summary>
    /// The z of every head as it is when that head alone is patched; or, where it <see cref="ReachesOtherHeads"/>, as it is when all that
    /// <paramref name="where"/> names is.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="source">The run whose activation is put in.</param>
    /// <param name="patched">The run that is patched.</param>
    /// <param name="where">
    /// Which positions to replace in each pair, [pairs, position of the prompt] bool, or in which of its heads (or key/value heads),
    /// [pairs or 1, heads, position of the prompt]; null for all.
    /// </param>
    /// <param name="start">z is wanted from this position on.</param>
    /// <returns>[pairs, heads, positions from <paramref name="start"/>, d_head]</returns>
    Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start);
}
