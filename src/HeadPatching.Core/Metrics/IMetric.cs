using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>What is measured at the end of a run, from the residual stream of the last position.</summary>
public interface IMetric
{
    /// <summary>Its name in results, such as <c>logit-difference</c>.</summary>
    string Name { get; }

    /// <summary>Measures runs over a chunk of pairs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="resid">resid_post of the last layer at the last position, [runs, pairs, d_model].</param>
    /// <param name="measured">The pairs, in the order of the second dimension.</param>
    /// <returns>[runs, pairs], float32 or float64</returns>
    Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured);
}
