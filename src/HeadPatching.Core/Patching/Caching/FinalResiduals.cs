using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Caching;

/// <summary>Where the two runs over a chunk end: resid_post of the last layer at the last position, of which every metric is a function.</summary>
/// <param name="Clean">[pairs, d_model]</param>
/// <param name="Corrupted">[pairs, d_model]</param>
public sealed record FinalResiduals(Tensor Clean, Tensor Corrupted) : IDisposable
{
    /// <summary>The metric of both runs on every pair.</summary>
    /// <exception cref="Faults.InvalidInputException">It is not finite: the numbers of a run grew beyond what its type can hold.</exception>
    public IReadOnlyList<Baseline> Baselines(Transformer model, IMetric metric, IReadOnlyList<TokenPair> pairs)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor measured = metric.Measure(model, stack([Clean, Corrupted]), new MeasuredPairs(pairs, Clean)); // [2, pairs]
        double[] values = [.. measured.to(ScalarType.Float64).cpu().data<double>()];

        // Where the prompts are the same, so are the runs; two rows of one product may still differ by rounding.
        Baseline[] baselines = [.. pairs.Select((pair, i) => new Baseline(values[i], pair.FirstDifference == pair.Length ? values[i] : values[pairs.Count + i]))];
        return FiniteNumbers.Checked(baselines, model, metric, pairs);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Clean.Dispose();
        Corrupted.Dispose();
    }
}
