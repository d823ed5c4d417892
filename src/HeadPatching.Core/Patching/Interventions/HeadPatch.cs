using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Caching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>
/// An intervention on each head of a layer: (z' - z) W_O of the head. In a grouped-query model keys and values belong to a group of
/// heads, and replacing them changes the z of all of the group.
/// </summary>
public sealed class HeadPatch : ILayerPatch
{
    private readonly IIntervention _intervention;

    /// <summary>Makes the patch of an intervention.</summary>
    public HeadPatch(IIntervention intervention)
    {
        _intervention = intervention;
    }

    /// <inheritdoc/>
    public string Hook => _intervention.Hook;

    /// <inheritdoc/>
    public bool OnlyOwnPosition => _intervention.OnlyOwnPosition;

    /// <inheritdoc/>
    public StreamPoint Point(ModelConfig config) => config.ParallelResidual ? StreamPoint.Post : StreamPoint.Mid;

    /// <inheritdoc/>
    public Func<int[], Tensor> Change(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start)
    {
        int heads = model.Config.Heads, units = _intervention.OfKeyValueHeads ? model.Config.KeyValueHeads : heads;
        Tensor z = _intervention.ReplacedZ(model, layer, source, patched, where, start); // [pairs, heads, count, d_head]
        long pairs = z.shape[0], count = z.shape[2];
        Tensor change = z - patched.Z(start);
        Tensor output = model.Weights.Layers[layer].OutputWeight.unflatten(0, [heads, model.Config.HeadWidth]); // [heads, d_head, d_model]
        if (units < heads)
        {
            // The heads of a group stand side by side: [pairs, groups, count, heads of the group * d_head], [groups, heads of the group * d_head, d_model]
            change = change.unflatten(1, [units, heads / units]).transpose(2, 3).flatten(3, 4);
            output = output.unflatten(0, [units, heads / units]).flatten(1, 2);
        }

        return chosen =>
        {
            Tensor rows = Take(change, 1, chosen).transpose(0, 1).flatten(1, 2); // [chosen, pairs * count, d_head]
            return rows.bmm(Take(output, 0, chosen)).unflatten(1, [pairs, count]); // [chosen, pairs, count, d_model]
        };
    }

    private static Tensor Take(Tensor x, int dimension, int[] chosen) => chosen.Index().All(one => one.Item == chosen[0] + one.Index)
        ? x.narrow(dimension, chosen[0], chosen.Length)
        : x.index_select(dimension, tensor(chosen, device: x.device));
}
