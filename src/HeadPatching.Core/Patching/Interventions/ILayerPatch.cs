using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>
/// A patch of a layer as the suffix run sees it: what it writes into the residual stream in addition, and where. Whatever is replaced,
/// of each head (<see cref="HeadPatch"/>) or of the layer as a whole (<see cref="LayerComponent"/>), comes to that.
/// </summary>
public interface ILayerPatch
{
    /// <summary>TransformerLens's name of the hook within a layer, such as <c>attn.hook_z</c>.</summary>
    string Hook { get; }

    /// <summary>Whether replacing at a position changes the stream at <see cref="Point"/> only at that position, or also at those after it.</summary>
    bool OnlyOwnPosition { get; }

    /// <summary>Whether what it changes is read by the layer's own attention.</summary>
    bool IsBeforeAttention => false;

    /// <summary>The point of the stream that is changed.</summary>
    StreamPoint Point(ModelConfig config);

    /// <summary>Works out the changes.</summary>
    /// <param name="model">The model.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="source">The run whose activation is put in.</param>
    /// <param name="patched">The run that is patched.</param>
    /// <param name="where">Which positions to replace in each pair, [pairs, position of the prompt] bool; null for all.</param>
    /// <param name="start">The change is wanted from this position on.</param>
    /// <returns>
    /// What the patches of some heads write in addition, a new tensor at each call: heads -> [heads, pairs, positions from
    /// <paramref name="start"/>, d_model].
    /// </returns>
    Func<int[], Tensor> Change(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start);

    /// <summary>How much of what a layer's patches write can reach the metric: after the last layer's attention nothing looks at an earlier position.</summary>
    /// <param name="layers">How many layers the model has.</param>
    /// <param name="layer">The layer.</param>
    Reach Reach(int layers, int layer) =>
        layer == layers - 1 && !IsBeforeAttention && OnlyOwnPosition ? Bands.Reach.LastPosition : Bands.Reach.EveryPosition;
}
