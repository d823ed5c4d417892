using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Paths;

/// <summary>
/// Stage two of path patching: the base run with the receivers' queries, keys and values, and what MLPs read, replaced by those of stage one, and everything
/// after them computed as always. It starts at the first receiver's layer and spares what cannot differ, as <see cref="SuffixRun"/> does:
/// positions before the first replaced one keep the base run's keys and values, and the last layer needs queries at the last position only.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="patched">The base run, by layer.</param>
/// <param name="start">The first replaced position: it is run from there to the end of the prompt.</param>
/// <param name="runs">How many senders.</param>
internal sealed class ReceiverRun(Transformer model, Func<int, HeadActivations> patched, int start, long runs) : IDisposable
{
    private Tensor? _resid;                                                   // before the next layer, [runs * pairs, count, d_model]

    /// <summary>resid_post of the last layer at the last position, [runs, pairs, d_model].</summary>
    public Tensor Final => _resid!.unflatten(0, [runs, -1]).squeeze(2);

    /// <summary>Goes through a layer; before the first that receives there is nothing to do.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="received">
    /// For each receiver of the layer [runs * pairs, replaced, d_head], or d_model for an MLP, from the first replaced position on. Where positions are left after
    /// them, the receiver keeps the base run's values there: in stage one nothing has changed them.
    /// </param>
    public void Through(int layer, IReadOnlyDictionary<Receiver, Tensor> received)
    {
        if (_resid is null && received.Count == 0)
        {
            return;
        }

        using var scope = NewDisposeScope();
        Tensor resid = _resid ?? patched(layer).ResidPre(start).repeat(runs, 1, 1); // [runs * pairs, count, d_model]
        long pairs = resid.shape[0] / runs, count = resid.shape[1], queries = layer == model.Config.Layers - 1 ? 1 : count;
        var (q, k, v) = _resid is null
            ? (Repeat(End(patched(layer).Q(start), 2, queries)), Repeat(End(patched(layer).KeysValues.K, 2, count)), Repeat(End(patched(layer).KeysValues.V, 2, count)))
            : Recomputed(layer, resid, queries);
        foreach (var (receiver, value) in received.Where(one => one.Key.Input != ReceiverInput.Mlp))
        {
            var (into, kept) = receiver.Input switch
            {
                ReceiverInput.Q => (q, patched(layer).Q(start)),
                ReceiverInput.K => (k, patched(layer).KeysValues.K),
                _ => (v, patched(layer).KeysValues.V),
            };
            into.select(1, receiver.Head).copy_(WithRest(value, kept.select(1, receiver.Head), into.shape[2])); // [runs * pairs, count, d_head]
        }

        KeysValues? before = start == 0 ? null : patched(layer).KeysValuesBefore(start);
        Tensor z = model.Attend(layer, q, WithPrefix(before?.K, k), WithPrefix(before?.V, v)); // [runs * pairs, heads, queries, d_head]
        Tensor post = received.TryGetValue(Receiver.OfMlp(layer), out Tensor? read) ? WithMlpOf(read) : model.ResidPost(layer, End(resid, 1, queries), z);
        Dispose();
        _resid = post.DetachFromDisposeScope();

        // resid_post, the MLP of the stream that it receives. [runs * pairs, queries, d_model]
        Tensor WithMlpOf(Tensor read)
        {
            Tensor mid = model.ResidMid(layer, End(resid, 1, queries).Plus(model.AttentionOut(layer, z)));
            Tensor kept = patched(layer).Stream(model.Config.ParallelResidual ? StreamPoint.Pre : StreamPoint.Mid, start);
            return model.ResidPost(layer, mid.Plus(model.MlpOut(layer, WithRest(read, kept, queries))));
        }

        // What is received, then what the base run has at the positions after it; the last of both.
        Tensor WithRest(Tensor value, Tensor kept, long positions) => End(cat([value, End(kept, 1, count - value.shape[1]).repeat(runs, 1, 1)], 1), 1, positions);

        // A copy for every sender, even for one: receivers' values are written into it. [pairs, ..] -> [runs * pairs, ..]
        Tensor Repeat(Tensor x) => x.repeat(runs, 1, 1, 1);

        // The base run's keys or values of the positions before, then the run's own: [runs * pairs, kv_heads, position, d_head]
        Tensor WithPrefix(Tensor? before, Tensor own) => before is null
            ? own
            : cat([before.unsqueeze(0).expand(runs, -1, -1, -1, -1), own.unflatten(0, [runs, pairs])], 3).flatten(0, 1);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _resid?.Dispose();
        _resid = null;
    }

    private (Tensor Q, Tensor K, Tensor V) Recomputed(int layer, Tensor resid, long queries)
    {
        Tensor normed = model.AttentionNorm(layer, resid);
        var (k, v) = model.KeyValue(layer, normed);
        return (model.Query(layer, End(normed, 1, queries)), k, v);
    }

    /// <summary>The last <paramref name="count"/> of a dimension.</summary>
    private static Tensor End(Tensor x, int dimension, long count) => x.narrow(dimension, x.shape[dimension] - count, count);
}
