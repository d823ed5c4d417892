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
/// <param name="receivers">The receivers that a path leads to: inputs of heads in layers after the sender's, and of MLPs of these or, after a head, of its own; or the logits.</param>
/// <param name="patched">The base run, by layer.</param>
/// <param name="freezeMlps">Whether MLPs are frozen too.</param>
/// <param name="start">The first replaced position.</param>
/// <param name="count">How many positions are replaced.</param>
internal sealed class SenderRun(
    Transformer model, NodeKind kind, int senderLayer, IReadOnlyList<Receiver> receivers, Func<int, HeadActivations> patched, bool freezeMlps, int start, int count) : IDisposable
{
    private readonly int _lastLayer = receivers[0].IsLogits ? model.Config.Layers - 1 : receivers.Max(receiver => receiver.Layer);
    private readonly bool _isOnlyWritten = freezeMlps && model.Config.NormPlace != NormPlace.AfterSum; // nothing answers what is written
    private Tensor? _written;                                                 // how each sender changes the stream, [runs, pairs, count, d_model]
    private Tensor? _stream;                                                  // behind a layer whose MLP answers, [runs, pairs, count, d_model]

    /// <summary>The layer that is run first; what other senders than heads write stands at its input.</summary>
    private int First => kind == NodeKind.Mlp ? senderLayer + 1 : senderLayer;

    /// <summary>resid_post of the last layer, where the receiver is the logits and all layers are gone through, [runs, pairs, count, d_model].</summary>
    public Tensor Final => _stream!;

    /// <summary>Goes through a layer, from the sender's on one after another.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="written">Asked for in the sender's layer: how each sender changes the stream where it writes, of a head (z' - z) W_O or what norms make of it, [runs, pairs, count, d_model]</param>
    /// <returns>For each receiver of the layer the queries, keys or values that it computes, or the stream that it reads, [runs * pairs, count, d_head], or d_model for an MLP.</returns>
    public IReadOnlyDictionary<Receiver, Tensor> Through(int layer, Func<Tensor> written)
    {
        var received = new Dictionary<Receiver, Tensor>();
        if (layer > _lastLayer)
        {
            return received;
        }

        using var scope = NewDisposeScope();
        if (layer == senderLayer)
        {
            _written = written().DetachFromDisposeScope();
        }

        bool isLast = layer == model.Config.Layers - 1;
        if (layer >= First)
        {
            Tensor resid = _stream ?? (kind == NodeKind.Head && layer == senderLayer ? ResidPre(layer) : ResidPre(layer).Plus(_written!)); // [runs, pairs, count, d_model], or of all [pairs, ..]
            Receive(layer, resid, received);
            if (!_isOnlyWritten && (layer < _lastLayer || receivers[0].IsLogits))
            {
                Tensor mid = AfterAttention(layer, resid);
                Tensor mlpOut = model.MlpOut(layer, freezeMlps ? Mid(layer) : model.Config.ParallelResidual ? resid : mid);
                Hold(model.ResidPost(layer, mid.Plus(mlpOut)));
            }
        }

        if (isLast && receivers[0].IsLogits && (_isOnlyWritten || First > layer))
        {
            Hold(model.ResidPost(layer, ResidPre(layer), Z(layer)).Plus(_written!));
        }
        else if (layer == _lastLayer && !receivers[0].IsLogits)
        {
            Dispose();
        }

        return received;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _written?.Dispose();
        _stream?.Dispose();
        (_written, _stream) = (null, null);
    }

    // From here on what is written is a part of it.
    private void Hold(Tensor stream)
    {
        Dispose();
        _stream = stream.DetachFromDisposeScope();
    }

    private void Receive(int layer, Tensor resid, Dictionary<Receiver, Tensor> received)
    {
        Receiver[] here = [.. receivers.Where(receiver => receiver.Layer == layer)], heads = [.. here.Where(receiver => receiver.Input != ReceiverInput.Mlp)];
        if (heads.Length < here.Length)
        {
            // In parallel blocks the sender's own layer reads no change.
            Tensor reads = model.Config.ParallelResidual ? resid : AfterAttention(layer, resid);
            received[Receiver.OfMlp(layer)] = (reads.dim() == 3 ? reads.expand(_written!.shape) : reads).flatten(0, 1).MoveToOuterDisposeScope();
        }

        if (heads.Length == 0)
        {
            return;
        }

        Tensor normed = model.AttentionNorm(layer, resid.flatten(0, 1));      // [runs * pairs, count, d_model]
        Tensor? q = heads.Any(receiver => receiver.Input == ReceiverInput.Q) ? model.Query(layer, normed) : null;
        var (k, v) = heads.Any(receiver => receiver.Input != ReceiverInput.Q) ? model.KeyValue(layer, normed) : (null, null);
        foreach (Receiver receiver in heads)
        {
            Tensor all = receiver.Input switch { ReceiverInput.Q => q!, ReceiverInput.K => k!, _ => v! };
            received[receiver] = all.select(1, receiver.Head).MoveToOuterDisposeScope();
        }
    }

    /// <summary>The stream after a layer's attention, all of its heads frozen but for the sender, [runs, pairs, count, d_model].</summary>
    private Tensor AfterAttention(int layer, Tensor resid)
    {
        Tensor mid = model.ResidMid(layer, resid.Plus(model.AttentionOut(layer, Z(layer))));
        return kind == NodeKind.Head && layer == senderLayer ? mid.Plus(_written!) : mid;
    }

    /// <summary>The base run's, at the replaced positions, [pairs, count, d_model].</summary>
    private Tensor ResidPre(int layer) => patched(layer).ResidPre(start).narrow(1, 0, count);

    /// <summary>The base run's, at the replaced positions, [pairs, count, d_model].</summary>
    private Tensor Mid(int layer) => model.ResidMid(layer, ResidPre(layer).Plus(model.AttentionOut(layer, Z(layer))));

    /// <summary>The base run's, at the replaced positions, [pairs, heads, count, d_head].</summary>
    private Tensor Z(int layer) => patched(layer).Z(start).narrow(2, 0, count);
}
