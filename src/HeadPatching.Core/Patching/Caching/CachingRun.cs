using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Caching;

/// <summary>
/// The clean and the corrupted run over a chunk of pairs, in one batch and layer by layer, so that each layer's activations can be
/// stored and freed before the next is computed. Positions before the first difference are run once for both. Between two calls of
/// <see cref="NextLayer"/> only the residual stream is held, and a caller may await in between: no dispose scope or grad mode outlives a call.
/// </summary>
public sealed class CachingRun : IDisposable
{
    private readonly Transformer _model;
    private readonly IReadOnlyList<TokenPair> _pairs;
    private Tensor? _prefix; // resid_pre of the next layer before the first difference, [pairs, start, d_model]; null where there is nothing before
    private Tensor _resid;   // and from it on, [2 * pairs, live positions, d_model]: clean runs first

    /// <summary>Starts the two runs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">A chunk of pairs, all of one length.</param>
    /// <param name="start">The first position that is cached of each run: <see cref="StartOf"/>, or 0 for what may change positions before it.</param>
    /// <exception cref="ArgumentException">No pairs, or pairs of different lengths.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The runs differ before <paramref name="start"/>, or nothing is after it.</exception>
    public CachingRun(Transformer model, IReadOnlyList<TokenPair> pairs, int start)
    {
        if (pairs.Count == 0 || pairs.Any(pair => pair.Length != pairs[0].Length))
        {
            throw new ArgumentException("A chunk has at least one pair, and its pairs have one length.", nameof(pairs));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, StartOf(pairs));
        _model = model;
        _pairs = pairs;
        Start = start;
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor resid = model.Embed(Ids([.. pairs.Select(pair => pair.Clean), .. pairs.Select(pair => pair.Corrupted)])); // [2 * pairs, position, d_model]
        _prefix = start == 0 ? null : resid.narrow(0, 0, pairs.Count).narrow(1, 0, start).clone().DetachFromDisposeScope();
        _resid = resid.narrow(1, start, pairs[0].Length - start).clone().DetachFromDisposeScope();

        Tensor Ids(IReadOnlyList<int>[] prompts) =>
            tensor(prompts.SelectMany(prompt => prompt).Select(id => (long)id).ToArray(), device: model.Device).reshape(prompts.Length, -1);
    }

    /// <summary>The first position that is cached of each run.</summary>
    public int Start { get; }

    /// <summary>How many layers have been run.</summary>
    public int LayersDone { get; private set; }

    /// <summary>Where the runs of a chunk first differ; the last position where no pair's prompts do.</summary>
    public static int StartOf(IReadOnlyList<TokenPair> pairs) => pairs.Min(pair => Math.Min(pair.FirstDifference, pair.Length - 1));

    /// <summary>Runs one more layer.</summary>
    /// <returns>Its activations, which the caller disposes of.</returns>
    /// <exception cref="InvalidOperationException">All layers have been run.</exception>
    public LayerActivations NextLayer()
    {
        if (LayersDone == _model.Config.Layers)
        {
            throw new InvalidOperationException("All layers have been run.");
        }

        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        int layer = LayersDone;
        bool last = layer == _model.Config.Layers - 1;
        var (prefix, prefixPost) = NextOfPrefix(layer, last);
        var (q, k, v) = _model.QueryKeyValue(layer, _resid);                  // [2 * pairs, heads or key/value heads, live, d_head]
        Tensor z = _model.Attend(layer, q, WithPrefix(prefix?.K, k), WithPrefix(prefix?.V, v)); // [2 * pairs, heads, live, d_head]
        var activations = new LayerActivations(Run(0), Run(_pairs.Count), prefix);

        // After the last layer only the last position is looked at.
        Tensor residPost = last ? _model.ResidPost(layer, Last(_resid, 1), Last(z, 2)) : _model.ResidPost(layer, _resid, z);

        // Nothing can fail any more: until here the scope frees what there is, and the run is where it was.
        foreach (var (_, tensor) in activations.Tensors())
        {
            tensor.DetachFromDisposeScope();
        }

        _prefix?.Dispose();
        _prefix = prefixPost?.DetachFromDisposeScope();
        _resid.Dispose();
        _resid = residPost.DetachFromDisposeScope();
        LayersDone++;
        return activations;

        RunActivations Run(int first) => new(Half(_resid, first), Half(z, first));

        static Tensor Last(Tensor x, int dimension) => x.narrow(dimension, x.shape[dimension] - 1, 1);
    }

    /// <summary>Where both runs end, after the last layer.</summary>
    /// <exception cref="InvalidOperationException">Layers are left to run.</exception>
    public FinalResiduals Final()
    {
        if (LayersDone != _model.Config.Layers)
        {
            throw new InvalidOperationException("The final residuals are known after the last layer.");
        }

        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor last = _resid.select(1, -1);                                   // [2 * pairs, d_model]
        Tensor clean = Half(last, 0), corrupted = Half(last, _pairs.Count);
        return new FinalResiduals(clean.DetachFromDisposeScope(), corrupted.DetachFromDisposeScope());
    }

    /// <summary>Runs every layer.</summary>
    /// <param name="done">Told after each layer.</param>
    /// <param name="cancellation">Looked at before each layer.</param>
    /// <returns>The activations of all layers, which the caller disposes of.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public ChunkActivations AllLayers(Action? done = null, CancellationToken cancellation = default)
    {
        var layers = new Dictionary<int, LayerActivations>();
        var activations = new ChunkActivations(Start, layers);
        try
        {
            while (LayersDone < _model.Config.Layers)
            {
                cancellation.ThrowIfCancellationRequested();
                layers[layers.Count] = NextLayer();
                done?.Invoke();
            }

            return activations;
        }
        catch
        {
            activations.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _prefix?.Dispose();
        _resid.Dispose();
    }

    /// <summary>Runs the layer over the positions before the first difference. Of the last layer nothing but its keys and values is looked at.</summary>
    private (KeysValues? Own, Tensor? ResidPost) NextOfPrefix(int layer, bool last)
    {
        if (_prefix is null)
        {
            return (null, null);
        }

        var (q, k, v) = _model.QueryKeyValue(layer, _prefix);                 // [pairs, heads or key/value heads, start, d_head]
        return (new KeysValues(Copy(k), Copy(v)), last ? null : _model.ResidPost(layer, _prefix, _model.Attend(layer, q, k, v, _pairs[0].Length)));
    }

    /// <summary>Both runs' keys or values after the prefix's: [2 * pairs, key/value heads, position, d_head]</summary>
    private static Tensor WithPrefix(Tensor? prefix, Tensor own) => prefix is null ? own : cat([prefix.repeat(2, 1, 1, 1), own], 2);

    /// <summary>One of the two runs.</summary>
    private Tensor Half(Tensor both, int first) => Copy(both.narrow(0, first, _pairs.Count));

    /// <summary>A copy in the order of its shape, so that nothing holds the memory of both runs, or of q, k and v together.</summary>
    private static Tensor Copy(Tensor part) => part.is_contiguous() ? part.clone() : part.contiguous();
}
