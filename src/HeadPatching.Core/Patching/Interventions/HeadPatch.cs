using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Caching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>
/// An intervention on each head of a layer: (z' - z) W_O of the head. In a grouped-query model keys and values belong to a group of
/// heads, and replacing them changes the z of all of the group. Where what the heads write is normed, or the stream with it, the change is
/// that of the norm of all: with the head's z' less that with its z.
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
        Func<Tensor, Tensor> changeOfStream = ChangeOfStream(model, layer, patched, start);
        if (_intervention.ReachesOtherHeads(model.Config))
        {
            return chosen => changeOfStream(stack([.. chosen.Select(ByOne)]));
        }

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
            return changeOfStream(MatrixProduct.OfEach(rows, Take(output, 0, chosen)).unflatten(1, [pairs, count])); // [chosen, pairs, count, d_model]
        };

        // What all heads write in addition when one unit is replaced, [pairs, count, d_model].
        Tensor ByOne(int unit)
        {
            using var scope = NewDisposeScope();
            Tensor own = tensor([.. Enumerable.Range(0, units).Select(one => one == unit)], device: model.Device).reshape(1, units, 1); // [1, units, 1]
            Tensor here = where is null ? own.expand(1, units, patched.KeysValues.K.shape[2]) : own.logical_and(where.unsqueeze(1)); // [pairs or 1, units, position]
            Tensor replaced = _intervention.ReplacedZ(model, layer, source, patched, here, start);
            return (model.HeadsOut(layer, replaced) - model.HeadsOut(layer, patched.Z(start))).MoveToOuterDisposeScope();
        }
    }

    /// <summary>From what heads write in addition to how the stream changes: the same, but where it is normed. [.., pairs, count, d_model]</summary>
    internal static Func<Tensor, Tensor> ChangeOfStream(Transformer model, int layer, HeadActivations patched, int start)
    {
        if (model.Config.NormPlace == NormPlace.Before)
        {
            return added => added;
        }

        Tensor written = model.HeadsOut(layer, patched.Z(start));             // [pairs, count, d_model]
        Tensor before = Stream(written);
        return added => Stream(added.Plus(written)) - before;

        Tensor Stream(Tensor heads) => model.Config.NormPlace == NormPlace.AfterSum
            ? model.ResidMid(layer, heads.Plus(patched.ResidPre(start)))
            : model.NormWritten(layer, heads);
    }

    /// <summary>Some of a dimension: a view where they stand side by side.</summary>
    internal static Tensor Take(Tensor x, int dimension, int[] chosen) => chosen.Index().All(one => one.Item == chosen[0] + one.Index)
        ? x.narrow(dimension, chosen[0], chosen.Length)
        : x.index_select(dimension, tensor(chosen, device: x.device));
}
