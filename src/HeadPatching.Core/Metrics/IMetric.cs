using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>What is measured at the end of a run, from the residual stream of the last position.</summary>
public interface IMetric
{
    /// <summary>Its name in results, such as <c>logit-difference</c>.</summary>
    string Name { get; }

    /// <summary>What it is, in words, for the result.</summary>
    MetricDetails Details { get; }

    /// <summary>Measures runs over a chunk of pairs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="resid">resid_post of the last layer at the last position, [runs, pairs, d_model].</param>
    /// <param name="measured">The pairs, in the order of the second dimension.</param>
    /// <returns>[runs, pairs], float32 or float64</returns>
    Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured);

    /// <summary>Whether clean and corrupted runs are so close that effects divide by little: by default, less than a fifth of their size apart.</summary>
    /// <param name="difference">|clean - corrupted|, the mean over pairs.</param>
    /// <param name="size">|clean| or |corrupted|, the larger of the means over pairs.</param>
    bool IsLittle(double difference, double size) => difference < 0.2 * size;

    /// <summary>
    /// What a clean run fails to do, such as <c>does not prefer the correct answer</c>; null where it does it, or where the metric alone
    /// cannot tell.
    /// </summary>
    /// <param name="clean">The clean run's metric on a pair.</param>
    string? Shortfall(double clean) => null;

    /// <summary>Whether it is a weighted sum of logits, so that what is written into the stream adds to it by itself.</summary>
    bool IsLinear => false;

    /// <summary>The tokens whose logits it adds up on a pair, and each one's weight. A token may stand there more than once.</summary>
    /// <param name="pair">The pair.</param>
    /// <exception cref="NotSupportedException">It is not <see cref="IsLinear"/>.</exception>
    IReadOnlyList<(int Token, double Weight)> LogitWeights(TokenPair pair) => throw new NotSupportedException($"{Name} is no weighted sum of logits.");
}
