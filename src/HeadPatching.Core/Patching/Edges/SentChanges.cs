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
/// <para>
/// Of heads only the change of z is kept, and it is multiplied with W_O where it is asked for: so it takes as little memory as another activation. Where weights
/// are streamed, W_O of the layers that were gone through is kept for that, and with it the norms behind.
/// </para>
/// </summary>
internal sealed class SentChanges : IDisposable
{
    private readonly Transformer _model;
    private readonly Transformer _writing;                                    // the model, as far as it is asked for what layers write after they were gone through
    private readonly LayerWeights[]? _held;                                   // by layer, where weights are streamed
    private readonly PatchedAndSource _runs;
    private readonly int _start;
    private readonly ILookup<int, NodeKind> _kinds;                           // by layer, of its senders
    private readonly Dictionary<(NodeKind, int), Tensor> _changes = [];       // of heads [heads, pairs, positions, d_head], of others [1, pairs, positions, d_model]
    private readonly Dictionary<int, (Tensor Attention, Tensor Mlp)> _written = []; // what the base run's layers write, where the stream is normed
    private int _layersDone;

    /// <summary>Begins with none of them: <see cref="Steps"/> makes them.</summary>
    /// <param name="model">The model.</param>
    /// <param name="runs">The two runs over a chunk of pairs.</param>
    /// <param name="start">The first position that is held of them.</param>
    /// <param name="senders">The senders.</param>
    public SentChanges(Transformer model, PatchedAndSource runs, int start, IEnumerable<Node> senders)
    {
        (_model, _runs, _start) = (model, runs, start);
        _kinds = senders.Select(sender => (sender.Layer, sender.Kind)).Distinct().ToLookup(one => one.Layer, one => one.Kind);
        _held = model.Weights.Streamed is null ? null : new LayerWeights[model.Config.Layers];
        _writing = _held is null ? model : model.WithLayers(_held);
    }

    /// <summary>Makes what the senders of each layer need, in a pass over the layers that those who read of it share (<see cref="LayerPass"/>); what is made is not made again.</summary>
    /// <returns>Each layer before it is gone through.</returns>
    public IEnumerable<int> Steps()
    {
        for (; _layersDone < _model.Config.Layers; _layersDone++)
        {
            yield return _layersDone;
            Prepare(_layersDone);
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
        foreach (Tensor tensor in _changes.Values.Concat(_written.Values.SelectMany(layer => new[] { layer.Attention, layer.Mlp })).Concat((_held ?? []).SelectMany(layer => layer?.Written() ?? [])))
        {
            tensor.Dispose();
        }
    }

    private void Prepare(int layer)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        if (_held is not null)
        {
            _held[layer] ??= _model.Weights.Layers[layer].WithOwnWritten();
        }

        HeadActivations source = _runs.Source(layer), patched = _runs.Patched(layer);
        foreach (NodeKind kind in _kinds[layer].Where(kind => !_changes.ContainsKey((kind, layer))))
        {
            Tensor change = kind switch
            {
                NodeKind.Head => (source.Z(_start) - patched.Z(_start)).transpose(0, 1).contiguous(),
                NodeKind.Mlp => Whole(Patch.MlpOut),
                _ => Whole(Patch.ResidPre),
            };
            _changes[(kind, layer)] = change.DetachFromDisposeScope();
        }

        if (IsOfNormedStream && !_written.ContainsKey(layer))
        {
            Tensor attention = _model.AttentionOut(layer, patched.Z(_start)), mlp = _model.MlpOut(layer, patched.Stream(StreamPoint.Mid, _start));
            _written[layer] = (attention.DetachFromDisposeScope(), mlp.DetachFromDisposeScope());
        }

        Tensor Whole(Patch patch) => new LayerComponent(patch).Change(_model, layer, source, patched, where: null, _start)([0]);
    }

    private bool IsOfNormedStream => _model.Config.NormPlace == NormPlace.AfterSum;

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
        change = change.narrow(2, from - _start, change.shape[2] - (from - _start));
        if (kind != NodeKind.Head)
        {
            return change.clone();
        }

        Tensor output = _writing.Weights.Layers[layer].OutputWeight.unflatten(0, [_model.Config.Heads, _model.Config.HeadWidth]); // [heads, d_head, d_model]
        Tensor written = MatrixProduct.OfEach(HeadPatch.Take(change, 0, heads).flatten(1, 2), HeadPatch.Take(output, 0, heads)).unflatten(1, [change.shape[1], change.shape[2]]);
        return HeadPatch.ChangeOfStream(_writing, layer, _runs.Patched(layer), from)(written);
    }

    /// <summary>The stream further on, [senders, pairs, positions from <paramref name="from"/>, d_model]: skip connections and norms, no sublayer.</summary>
    private Tensor ThroughNorms(NodeKind kind, int layer, int[] heads, int toLayer, StreamPoint toPoint, int from)
    {
        StreamPoint point = kind switch { NodeKind.Embedding => StreamPoint.Pre, NodeKind.Head => StreamPoint.Mid, _ => StreamPoint.Post };
        Tensor stream = Change(kind, layer, heads, from).AddInPlace(Unchanged());
        while ((layer, point) != (toLayer, toPoint))
        {
            (stream, layer, point) = point switch
            {
                StreamPoint.Pre => (_writing.ResidMid(layer, stream.Plus(From(_written[layer].Attention))), layer, StreamPoint.Mid),
                StreamPoint.Mid => (_writing.ResidPost(layer, stream.Plus(From(_written[layer].Mlp))), layer, StreamPoint.Post),
                _ when layer == _model.Config.Layers - 1 => throw new InvalidOperationException($"Nothing reads {toPoint} of layer {toLayer} behind layer {layer}."),
                _ => (stream, layer + 1, StreamPoint.Pre),
            };
        }

        return stream;

        // The base run's stream where the senders write, as Stream of its layer would make it.
        Tensor Unchanged()
        {
            Tensor pre = _runs.Patched(layer).ResidPre(from);
            Tensor mid = point == StreamPoint.Pre ? pre : _writing.ResidMid(layer, pre.Plus(From(_written[layer].Attention)));
            return point == StreamPoint.Post ? _writing.ResidPost(layer, mid.Plus(From(_written[layer].Mlp))) : mid;
        }

        Tensor From(Tensor x) => x.narrow(1, from - _start, x.shape[1] - (from - _start));
    }
}
