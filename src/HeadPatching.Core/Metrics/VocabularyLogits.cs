using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>
/// The logits of the whole vocabulary, a slice of the runs at a time: a patched run's logits take vocabulary times 4 bytes (8 in float64),
/// so those of a whole batch would soon take more than the batch itself.
/// </summary>
internal static class VocabularyLogits
{
    /// <summary>The bytes of one slice's logits. A metric makes about three more tensors of that size of them: 64 MiB together.</summary>
    private const long SliceBytes = 16L << 20;

    /// <summary>Measures runs slice by slice.</summary>
    /// <param name="model">The model.</param>
    /// <param name="resid">resid_post of the last layer at the last position, [runs, pairs, d_model].</param>
    /// <param name="measure">The metric of a slice's logits: [runs of the slice, pairs, vocabulary] -> [runs of the slice, pairs].</param>
    /// <param name="sliceBytes">The bytes of a slice's logits. At least one run's are taken, whatever it is.</param>
    /// <returns>[runs, pairs]</returns>
    public static Tensor Measure(Transformer model, Tensor resid, Func<Tensor, Tensor> measure, long sliceBytes = SliceBytes)
    {
        long runs = resid.shape[0], pairs = resid.shape[1];
        long slice = Math.Clamp(sliceBytes / (pairs * model.Weights.Unembedding.shape[0] * Wide(model).Bytes()), 1, runs);
        var measured = new List<Tensor>();
        foreach (Tensor part in resid.split(slice))
        {
            using var scope = NewDisposeScope();
            measured.Add(measure(Of(model, part)).MoveToOuterDisposeScope());
        }

        return cat(measured, 0);
    }

    /// <summary>The logits, in float32 at least: bfloat16 has 8 bits of precision.</summary>
    /// <param name="model">The model.</param>
    /// <param name="resid">resid_post of the last layer, [.., d_model].</param>
    /// <returns>[.., vocabulary], float32 or float64</returns>
    public static Tensor Of(Transformer model, Tensor resid)
    {
        Tensor normed = model.FinalNorm(resid);
        ScalarType wide = Wide(model);
        if (model.Dtype == wide)
        {
            return model.Unembed(normed);
        }

        // The unembedding is widened some rows at a time: all of it would be as large as the largest weight of the model, twice.
        Tensor unembedding = model.Weights.WholeUnembedding;                  // [vocabulary, d_model]
        Tensor widened = normed.to(wide);
        long rows = Math.Max(1, SliceBytes / (unembedding.shape[1] * wide.Bytes()));
        Tensor products = cat([.. unembedding.split(rows).Select(part => widened.matmul(part.to(wide).t()))], -1);
        return model.ToLogits(products, model.Weights.UnembeddingBias?.to(wide));
    }

    /// <summary>What metrics are computed in: bfloat16 has 8 bits of precision, so differences of logits are taken in float32.</summary>
    /// <param name="model">The model.</param>
    internal static ScalarType Wide(Transformer model) => model.Dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
}
