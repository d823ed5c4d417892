using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Caching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Paths;

/// <summary>
/// Stage one of path patching: the base run with every head frozen and only the sender's z, mlp_out or embedding replaced. As no attention is computed, the
/// residual stream changes by what the sender writes in addition and by how MLPs answer it, each position by itself. So it is run at the
/// replaced positions only.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="kind">What the senders are.</param>
/// <param name="senderLayer">The sender's layer.</param>
/// <param name="patched">The base run, by layer.</param>
/// <param name="freezeMlps">Whether MLPs are frozen too.</param>
/// <param name="start">The first replaced position.</param>
/// <param name="count">How many positions are replaced.</param>
internal sealed class SenderRun(
    Transformer model, NodeKind kind, int senderLayer, Func<int, HeadActivations> patched, bool freezeMlps, int start, int count)
{
    /// <summary>The layer that is run first; what other senders than heads write stands at its input.</summary>
    private int First => kind == NodeKind.Mlp ? senderLayer + 1 : senderLayer;

    /// <summary>resid_post of the last layer.</summary>
    /// <param name="written">How each sender changes the stream where it writes, of a head (z' - z) W_O or what norms make of it, [runs, pairs, count, d_model]</param>
    /// <returns>[runs, pairs, count, d_model]</returns>
    public Tensor Final(Tensor written)
    {
        using var scope = NewDisposeScope();
        return Advance(Begin(written), First, model.Config.Layers, written).MoveToOuterDisposeScope();
    }

    /// <summary>The queries, keys or values that each receiver computes from the changed stream at its layer's input, and the stream that MLPs read.</summary>
    /// <param name="written">How each sender changes the stream where it writes, as above.</param>
    /// <param name="receivers">Inputs of heads in layers after the sender's, and of MLPs of these or, after a head, of its own.</param>
    /// <returns>For each receiver [runs * pairs, count, d_head], or d_model for an MLP</returns>
    public IReadOnlyDictionary<Receiver, Tensor> Received(Tensor written, IReadOnlyList<Receiver> receivers)
    {
        using var scope = NewDisposeScope();
        var received = new Dictionary<Receiver, Tensor>();
        Tensor resid = Begin(written);
        int at = First;
        foreach (var layer in receivers.GroupBy(receiver => receiver.Layer).OrderBy(layer => layer.Key))
        {
            resid = layer.Key > at ? Advance(resid, at, layer.Key, written) : resid;
            at = layer.Key;
            using var layerScope = NewDisposeScope();
            if (layer.Contains(Receiver.OfMlp(at)))
            {
                Tensor reads = model.Config.ParallelResidual ? resid : AfterAttention(at, resid, written);
                Tensor[] ofRuns = [.. broadcast_tensors(reads, written)];     // in parallel blocks the sender's own layer reads no change
                received[Receiver.OfMlp(at)] = ofRuns[0].flatten(0, 1).clone().MoveToOuterDisposeScope().MoveToOuterDisposeScope();
            }

            Receiver[] heads = [.. layer.Where(receiver => receiver.Input != ReceiverInput.Mlp)];
            if (heads.Length == 0)
            {
                continue;
            }

            Tensor normed = model.AttentionNorm(at, resid.flatten(0, 1));     // [runs * pairs, count, d_model]
            Tensor? q = heads.Any(receiver => receiver.Input == ReceiverInput.Q) ? model.Query(at, normed) : null;
            var (k, v) = heads.Any(receiver => receiver.Input != ReceiverInput.Q) ? model.KeyValue(at, normed) : (null, null);
            foreach (Receiver receiver in heads)
            {
                Tensor all = receiver.Input switch { ReceiverInput.Q => q!, ReceiverInput.K => k!, _ => v! };
                received[receiver] = all.select(1, receiver.Head).clone().MoveToOuterDisposeScope().MoveToOuterDisposeScope();
            }
        }

        return received;
    }

    /// <summary>The stream at the input of the first layer: with what the sender writes, unless that is a head of it. [pairs, count, d_model], with what is written [runs, ..]</summary>
    private Tensor Begin(Tensor written) => kind == NodeKind.Head ? Unchanged(First) : Unchanged(First).Plus(written);

    /// <summary>The stream at the input of a later layer, from that at an earlier one's, which is disposed of.</summary>
    private Tensor Advance(Tensor resid, int from, int to, Tensor written)
    {
        bool normOfSum = model.Config.NormPlace == NormPlace.AfterSum;
        if (freezeMlps && !normOfSum)
        {
            resid.Dispose();
            return Unchanged(to).Plus(written);
        }

        for (int layer = from; layer < to; layer++)
        {
            using var layerScope = NewDisposeScope();
            Tensor mid = AfterAttention(layer, resid, written);
            Tensor mlpOut = model.MlpOut(layer, freezeMlps ? Mid(layer) : model.Config.ParallelResidual ? resid : mid);
            Tensor post = model.ResidPost(layer, mid.Plus(mlpOut));
            resid.Dispose();
            resid = post.MoveToOuterDisposeScope();
        }

        return resid;
    }

    /// <summary>The stream after a layer's attention, all of its heads frozen but for the sender, [runs, pairs, count, d_model].</summary>
    private Tensor AfterAttention(int layer, Tensor resid, Tensor written)
    {
        Tensor mid = model.ResidMid(layer, resid.Plus(model.AttentionOut(layer, Z(layer))));
        return kind == NodeKind.Head && layer == senderLayer ? mid.Plus(written) : mid;
    }

    /// <summary>The base run's, at the replaced positions, at the input of a layer or behind the last, [pairs, count, d_model].</summary>
    private Tensor Unchanged(int layer) => layer < model.Config.Layers ? ResidPre(layer) : model.ResidPost(layer - 1, ResidPre(layer - 1), Z(layer - 1));

    /// <summary>The base run's, at the replaced positions, [pairs, count, d_model].</summary>
    private Tensor ResidPre(int layer) => patched(layer).ResidPre(start).narrow(1, 0, count);

    /// <summary>The base run's, at the replaced positions, [pairs, count, d_model].</summary>
    private Tensor Mid(int layer) => model.ResidMid(layer, ResidPre(layer).Plus(model.AttentionOut(layer, Z(layer))));

    /// <summary>The base run's, at the replaced positions, [pairs, heads, count, d_head].</summary>
    private Tensor Z(int layer) => patched(layer).Z(start).narrow(2, 0, count);
}
