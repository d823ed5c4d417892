using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Interventions;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Caching;

/// <summary>
/// One layer of one run as a patch reads it: what is cached of it, and what follows from that, made when it is first asked for and kept.
/// Positions are those of the prompt throughout. Ask within inference mode; nothing made here belongs to the caller's dispose scope.
/// </summary>
public sealed class HeadActivations : IDisposable
{
    private readonly Transformer _model;
    private readonly int _layer;
    private readonly RunActivations _cached;
    private readonly KeysValues? _prefix;
    private readonly int _start;
    private Tensor? _q;
    private KeysValues? _keysValues;

    /// <summary>Makes the view.</summary>
    /// <param name="model">The model.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="cached">What is cached of the run, from <paramref name="start"/> on.</param>
    /// <param name="prefix">Keys and values of the positions before.</param>
    /// <param name="start">The first position that is cached.</param>
    public HeadActivations(Transformer model, int layer, RunActivations cached, KeysValues? prefix, int start)
    {
        (_model, _layer, _cached, _prefix, _start) = (model, layer, cached, prefix, start);
    }

    /// <summary>hook_k and hook_v at every position of the prompt, [pairs, key/value heads, position, d_head].</summary>
    public KeysValues KeysValues
    {
        get
        {
            if (_keysValues is null)
            {
                using var scope = NewDisposeScope();
                var (k, v) = _model.KeyValue(_layer, _model.AttentionNorm(_layer, Cached(_cached.ResidPre, "resid_pre")));
                _keysValues = new KeysValues(WithPrefix(Prefix?.K, k), WithPrefix(Prefix?.V, v));
            }

            return _keysValues;

            static Tensor WithPrefix(Tensor? prefix, Tensor own) => (prefix is null ? own : cat([prefix, own], 2)).DetachFromDisposeScope();
        }
    }

    /// <summary>The residual stream before the layer, from a position on, [pairs, positions from it, d_model].</summary>
    public Tensor ResidPre(int from) => From(Cached(_cached.ResidPre, "resid_pre"), 1, from);

    /// <summary>hook_z from a position on, [pairs, heads, positions from it, d_head].</summary>
    public Tensor Z(int from) => From(Cached(_cached.Z, "z"), 2, from);

    /// <summary>hook_q from a position on, [pairs, heads, positions from it, d_head].</summary>
    public Tensor Q(int from)
    {
        if (_q is null)
        {
            using var scope = NewDisposeScope();
            _q = _model.Query(_layer, _model.AttentionNorm(_layer, Cached(_cached.ResidPre, "resid_pre"))).DetachFromDisposeScope();
        }

        return From(_q, 2, from);
    }

    /// <summary>hook_k and hook_v of the positions before one, [pairs, key/value heads, positions before it, d_head].</summary>
    public KeysValues KeysValuesBefore(int position) => position == _start && Prefix is not null
        ? Prefix
        : new KeysValues(KeysValues.K.narrow(2, 0, position), KeysValues.V.narrow(2, 0, position));

    /// <summary>The residual stream at a point of the layer, from a position on, [pairs, positions from it, d_model].</summary>
    public Tensor Stream(StreamPoint point, int from)
    {
        Tensor pre = ResidPre(from);
        if (point == StreamPoint.Pre)
        {
            return pre;
        }

        Tensor mid = _model.ResidMid(_layer, pre.Plus(_model.AttentionOut(_layer, Z(from))));
        return point == StreamPoint.Mid ? mid : _model.ResidPost(_layer, mid.Plus(_model.MlpOut(_layer, _model.Config.ParallelResidual ? pre : mid)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _q?.Dispose();
        _keysValues?.K.Dispose();
        _keysValues?.V.Dispose();
    }

    private KeysValues? Prefix => _start == 0 || _prefix is not null
        ? _prefix
        : throw new InvalidOperationException($"Keys and values before position {_start} of layer {_layer} were not read.");

    private Tensor Cached(Tensor? tensor, string name) =>
        tensor ?? throw new InvalidOperationException($"{name} of layer {_layer} was not read.");

    private Tensor From(Tensor tensor, int dimension, int from) =>
        from == _start ? tensor : tensor.narrow(dimension, from - _start, tensor.shape[dimension] - (from - _start));
}

/// <summary>The two runs of a chunk as a patch reads them, layer by layer: what each layer makes is kept until this is disposed of.</summary>
/// <param name="model">The model.</param>
/// <param name="activations">What is cached; not owned.</param>
/// <param name="direction">Which run is patched with which.</param>
public sealed class PatchedAndSource(Transformer model, ChunkActivations activations, Direction direction) : IDisposable
{
    private readonly Dictionary<int, HeadActivations> _patched = [];
    private readonly Dictionary<int, HeadActivations> _source = [];

    /// <summary>A layer of the run that is patched.</summary>
    public HeadActivations Patched(int layer) => Of(_patched, layer, known => known.Base(direction));

    /// <summary>A layer of the run whose activation is put in.</summary>
    public HeadActivations Source(int layer) => Of(_source, layer, known => known.Source(direction));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (HeadActivations layer in _patched.Values.Concat(_source.Values))
        {
            layer.Dispose();
        }
    }

    private HeadActivations Of(Dictionary<int, HeadActivations> known, int layer, Func<LayerActivations, RunActivations> run)
    {
        if (!known.TryGetValue(layer, out HeadActivations? view))
        {
            LayerActivations cached = activations.Layers.TryGetValue(layer, out LayerActivations? one)
                ? one
                : throw new InvalidOperationException($"Nothing of layer {layer} was read.");
            known[layer] = view = new HeadActivations(model, layer, run(cached), cached.Prefix, activations.Start);
        }

        return view;
    }
}
