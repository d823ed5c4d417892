using HeadPatching.Core.Native;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>
/// A layer's MLP at many streams that are one stream plus what a few columns of z write: x + z W. A norm is linear but for its scale, so that its first
/// product is (x' W_in + z (W' W_in)) scale + constants, with ' for what is centred and scaled by the norm's weight. The first part is the same for all of
/// them and the second has as few rows as z has columns: of a head, d_head instead of d_model. The same numbers but for rounding.
/// </summary>
internal sealed class MlpOfSum : IDisposable
{
    private readonly Transformer _model;
    private readonly LayerWeights _weights;
    private readonly (Tensor Matrix, Tensor? Constants)[] _in; // of W_gate, where there is one, and of W_in: what z is multiplied with [columns, d_mlp]; [d_mlp]

    /// <summary>Makes the products that all streams share.</summary>
    /// <param name="model">The model; <see cref="Applies"/>.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="written">W: what z writes, [columns, d_model]</param>
    public MlpOfSum(Transformer model, int layer, Tensor written)
    {
        (_model, _weights) = (model, model.Weights.Layers[layer]);
        using var scope = NewDisposeScope();
        Tensor normed = Unscaled(written);
        _in = [.. First().Select(one => (AsWeight(MatrixProduct.Of(normed, one.Weight, null)), Constants(one.Weight, one.Bias)))];
        foreach (var (matrix, constants) in _in)
        {
            matrix.DetachFromDisposeScope();
            constants?.DetachFromDisposeScope();
        }

        // In memory as weights are, which is fastest.
        static Tensor AsWeight(Tensor matrix) => matrix.t().contiguous().t();

        Tensor? Constants(Tensor weight, Tensor? bias) => _weights.MlpNormBias is not { } shift ? bias?.clone()
            : bias is null ? shift.unsqueeze(0).mm(weight).squeeze(0) : shift.unsqueeze(0).mm(weight).squeeze(0).Plus(bias);
    }

    /// <summary>Whether a model's MLPs read the stream through a norm of their own, one after another with attention, and are no mixtures.</summary>
    public static bool Applies(Transformer model) =>
        model.Config is { NormPlace: NormPlace.Before, ParallelResidual: false, Experts: null } && model.Dtype is ScalarType.Float32 or ScalarType.Float64
        && model.Weights.Layers[0].MlpNormWeight?.dtype == model.Dtype;

    /// <summary>How many bytes are held.</summary>
    /// <param name="model">The model.</param>
    /// <param name="columns">Columns of z.</param>
    public static long Bytes(Transformer model, long columns) => (model.Config.GatedMlp ? 2L : 1L) * columns * model.Config.MlpWidth * model.Dtype.Bytes();

    /// <summary>The products of x, to be given to <see cref="Out"/>: [.., d_mlp], one for each of the MLP's first matrices.</summary>
    /// <param name="x">[.., d_model]</param>
    public Tensor[] Known(Tensor x)
    {
        Tensor normed = Unscaled(x);
        return [.. First().Select(one => MatrixProduct.Of(normed.reshape(-1, normed.shape[^1]), one.Weight, null).reshape([.. x.shape[..^1], -1]))];
    }

    /// <summary>mlp_out of some streams.</summary>
    /// <param name="streams">x + z W, [runs, .., d_model]</param>
    /// <param name="known">Of x: <see cref="Known"/>.</param>
    /// <param name="z">[runs, .., some columns]</param>
    /// <param name="first">The first of these columns in W.</param>
    /// <returns>[runs, .., d_model]</returns>
    public Tensor Out(Tensor streams, Tensor[] known, Tensor z, long first)
    {
        Tensor scale = _model.NormScale(streams);                             // [runs, .., 1]
        Tensor rows = (z * scale).flatten(0, -2);                             // [rows, columns]
        long[] shape = [.. streams.shape[..^1], _model.Config.MlpWidth];
        return _model.MlpFrom(_weights, [.. known.Select((x, part) => Product(x, _in[part].Matrix.narrow(0, first, z.shape[^1]), _in[part].Constants))]).view(streams.shape);

        // [rows, d_mlp]
        Tensor Product(Tensor x, Tensor matrix, Tensor? constants) => MatrixProduct.Of(rows, matrix, constants).view(shape).addcmul_(x, scale, Sums.One).flatten(0, -2);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (matrix, constants) in _in)
        {
            matrix.Dispose();
            constants?.Dispose();
        }
    }

    /// <summary>The norm without its scale and shift.</summary>
    private Tensor Unscaled(Tensor x) => (_model.Config.Norm == NormKind.Layer ? x - x.mean([-1], keepdim: true) : x) * _weights.MlpNormWeight!;

    private IEnumerable<(Tensor Weight, Tensor? Bias)> First()
    {
        if (_weights.MlpGateWeight is { } gate)
        {
            yield return (gate, _weights.MlpGateBias);
        }

        yield return (_weights.MlpInWeight, _weights.MlpInBias);
    }
}
