using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Edges;

/// <summary>
/// What each sender writes into the residual stream in the source run less what it writes in the base run, and the stream as a receiver reads it with
/// that in place: nothing between the two is computed again. Where the stream itself is normed (<see cref="NormPlace.AfterSum"/>), what a sender writes
/// reaches a later layer through the norms between, with everything else that is added there as it was.
/// <para>Of heads only the change of z is kept, and it is multiplied with W_O where it is asked for: so it takes as little memory as another activation.</para>
/// </summary>
/// <param name="model">The model.</param>
/// <param name="runs">The two runs over a chunk of pairs.</param>
/// <param name="start">The first position that is held of them.</param>
internal sealed class SentChanges(Transformer model, PatchedAndSource runs, int start) : IDisposable
{
    private readonly Dictionary<(NodeKind, int), Tensor> _changes = []; // of heads [heads, pairs, positions, d_head], of others [1, pairs, positions, d_model]
    private readonly Dictionary<int, (Tensor Attention, Tensor Mlp)> _written = []; // what the base run's layers write, where the stream is normed

    /// <summary>Makes what some senders need, and is to be called before threads ask for it.</summary>
    /// <param name="senders">The senders.</param>
    public void Prepare(IEnumerable<Node> senders)
    {
        foreach (var (kind, layer) in senders.Select(sender => (sender.Kind, sender.Layer)).Distinct())
        {
            if (_changes.ContainsKey((kind, layer)))
            {
                continue;
            }

            using var scope = NewDisposeScope();
            HeadActivations source = runs.Source(layer), patched = runs.Patched(layer);
            Tensor change = kind switch
            {
                NodeKind.Head => (source.Z(start) - patched.Z(start)).transpose(0, 1).contiguous(),
                NodeKind.Mlp => Whole(Patch.MlpOut),
                _ => Whole(Patch.ResidPre),
            };
            _changes[(kind, layer)] = change.DetachFromDisposeScope();

            Tensor Whole(Patch patch) => new LayerComponent(patch).Change(model, layer, source, patched, where: null, start)([0]);
        }

        for (int layer = 0; layer < model.Config.Layers && IsOfNormedStream; layer++)
        {
            if (!_written.ContainsKey(layer))
            {
                using var scope = NewDisposeScope();
                Tensor attention = model.AttentionOut(layer, runs.Patched(layer).Z(start)), mlp = model.MlpOut(layer, runs.Patched(layer).Stream(StreamPoint.Mid, start));
                _written[layer] = (attention.DetachFromDisposeScope(), mlp.DetachFromDisposeScope());
            }
        }
    }

    /// <summary>The stream at a point with what each of some senders writes, in turn, as in the source run.</summary>
    /// <param name="layer">The receiver's layer.</param>
    /// <param name="point">The point that it reads.</param>
    /// <param name="senders">The senders, in the order in which they write.</param>
    /// <param name="unchanged">The base run's stream there, [pairs, positions, d_model].</param>
    /// <param name="from">The first of these positions.</param>
    /// <returns>[senders, pairs, positions, d_model]</returns>
    public Tensor Read(int layer, StreamPoint point, IReadOnlyList<Node> senders, Tensor unchanged, int from) => IsOfNormedStream
        ? Joined(senders, (kind, at, heads) => ThroughNorms(kind, at, heads, layer, point, from))
        : Change(layer, point, senders, unchanged, from).AddInPlace(unchanged);

    /// <summary>How the stream at a point changes; otherwise as <see cref="Read"/>.</summary>
    /// <inheritdoc cref="Read"/>
    public Tensor Change(int layer, StreamPoint point, IReadOnlyList<Node> senders, Tensor unchanged, int from) => IsOfNormedStream
        ? Read(layer, point, senders, unchanged, from) - unchanged
        : Joined(senders, (kind, at, heads) => Change(kind, at, heads, from));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in _changes.Values.Concat(_written.Values.SelectMany(layer => new[] { layer.Attention, layer.Mlp })))
        {
            tensor.Dispose();
        }
    }

    private bool IsOfNormedStream => model.Config.NormPlace == NormPlace.AfterSum;

    /// <summary>Senders of a layer and kind together: a product for all of its heads.</summary>
    private static Tensor Joined(IReadOnlyList<Node> senders, Func<NodeKind, int, int[], Tensor> of)
    {
        Tensor[] parts = [.. senders.GroupBy(sender => (sender.Kind, sender.Layer)).Select(part => of(part.Key.Kind, part.Key.Layer, [.. part.Select(sender => sender.Head)]))];
        return parts.Length == 1 ? parts[0] : cat(parts);
    }

    /// <summary>The change of the stream right behind the senders, in memory of its own, [senders, pairs, positions from <paramref name="from"/>, d_model].</summary>
    private Tensor Change(NodeKind kind, int layer, int[] heads, int from)
    {
        Tensor change = _changes[(kind, layer)];
        change = change.narrow(2, from - start, change.shape[2] - (from - start));
        if (kind != NodeKind.Head)
        {
            return change.clone();
        }

        Tensor output = model.Weights.Layers[layer].OutputWeight.unflatten(0, [model.Config.Heads, model.Config.HeadWidth]); // [heads, d_head, d_model]
        Tensor written = MatrixProduct.OfEach(HeadPatch.Take(change, 0, heads).flatten(1, 2), HeadPatch.Take(output, 0, heads)).unflatten(1, [change.shape[1], change.shape[2]]);
        return HeadPatch.ChangeOfStream(model, layer, runs.Patched(layer), from)(written);
    }

    /// <summary>The stream further on, [senders, pairs, positions from <paramref name="from"/>, d_model]: skip connections and norms, no sublayer.</summary>
    private Tensor ThroughNorms(NodeKind kind, int layer, int[] heads, int toLayer, StreamPoint toPoint, int from)
    {
        StreamPoint point = kind switch { NodeKind.Embedding => StreamPoint.Pre, NodeKind.Head => StreamPoint.Mid, _ => StreamPoint.Post };
        Tensor stream = Change(kind, layer, heads, from).AddInPlace(runs.Patched(layer).Stream(point, from));
        while ((layer, point) != (toLayer, toPoint))
        {
            (stream, layer, point) = point switch
            {
                StreamPoint.Pre => (model.ResidMid(layer, stream.Plus(From(_written[layer].Attention))), layer, StreamPoint.Mid),
                StreamPoint.Mid => (model.ResidPost(layer, stream.Plus(From(_written[layer].Mlp))), layer, StreamPoint.Post),
                _ when layer == model.Config.Layers - 1 => throw new InvalidOperationException($"Nothing reads {toPoint} of layer {toLayer} behind layer {layer}."),
                _ => (stream, layer + 1, StreamPoint.Pre),
            };
        }

        return stream;

        Tensor From(Tensor x) => x.narrow(1, from - start, x.shape[1] - (from - start));
    }
}
