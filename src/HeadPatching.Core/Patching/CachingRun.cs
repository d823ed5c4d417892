using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>
/// The clean and the corrupted run over a chunk of pairs, in one batch and layer by layer, so that each layer's activations can be
/// stored and freed before the next is computed. Between two calls of <see cref="NextLayer"/> only the residual stream is held, and a
/// caller may await in between: no dispose scope or grad mode outlives a call.
/// </summary>
public sealed class CachingRun : IDisposable
{
    private readonly Transformer _model;
    private readonly IReadOnlyList<TokenPair> _pairs;
    private Tensor _resid; // resid_pre of the next layer, [2 * pairs, position, d_model]: clean runs first

    /// <summary>Starts the two runs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">A chunk of pairs, all of one length.</param>
    /// <exception cref="ArgumentException">No pairs, or pairs of different lengths.</exception>
    public CachingRun(Transformer model, IReadOnlyList<TokenPair> pairs)
    {
        if (pairs.Count == 0 || pairs.Any(pair => pair.Length != pairs[0].Length))
        {
            throw new ArgumentException("A chunk has at least one pair, and its pairs have one length.", nameof(pairs));
        }

        _model = model;
        _pairs = pairs;
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        long[] ids = [.. pairs.SelectMany(pair => pair.Clean).Concat(pairs.SelectMany(pair => pair.Corrupted)).Select(id => (long)id)];
        _resid = model.Embed(tensor(ids, device: model.Device).reshape(2 * pairs.Count, -1)).DetachFromDisposeScope();
    }

    /// <summary>How many layers have been run.</summary>
    public int LayersDone { get; private set; }

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
        var (q, k, v) = _model.QueryKeyValue(layer, _resid);
        Tensor z = _model.Attend(layer, q, k, v);
        var activations = new LayerActivations(Half(0), Half(_pairs.Count));
        Tensor residPost = _model.ResidPost(layer, _resid, z);

        // Nothing can fail any more: until here the scope frees what there is, and the run is where it was.
        foreach (var (_, tensor) in activations.Clean.Named().Concat(activations.Corrupted.Named()))
        {
            tensor.DetachFromDisposeScope();
        }

        _resid.Dispose();
        _resid = residPost.DetachFromDisposeScope();
        LayersDone++;
        return activations;

        HeadActivations Half(int first)
        {
            // A copy in the order of its shape, so that nothing holds the memory of both halves, or of q, k and v together.
            Tensor Part(Tensor both)
            {
                Tensor half = both.narrow(0, first, _pairs.Count);
                return half.is_contiguous() ? half.clone() : half.contiguous();
            }

            return new HeadActivations(Part(_resid), Part(q), Part(k), Part(v), Part(z));
        }
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
        Tensor clean = Half(0), corrupted = Half(_pairs.Count);
        return new FinalResiduals(clean.DetachFromDisposeScope(), corrupted.DetachFromDisposeScope());

        Tensor Half(int first) => last.narrow(0, first, _pairs.Count).clone();
    }

    /// <inheritdoc/>
    public void Dispose() => _resid.Dispose();
}
