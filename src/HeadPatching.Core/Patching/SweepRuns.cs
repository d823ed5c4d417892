using HeadPatching.Core.Patching.Attribution;

namespace HeadPatching.Core.Patching;

/// <summary>Everything that the runs of a sweep gave, before it is put together.</summary>
/// <param name="Baselines">The unpatched metrics of each pair, by the pair's index in the dataset.</param>
/// <param name="Layers">
/// The patched runs, or the estimates of them, in any order: every layer over every chunk; of screened sweeps only the layers with heads
/// that were run.
/// </param>
/// <param name="CacheSeconds">Seconds in clean and corrupted runs.</param>
public sealed record SweepRuns(IReadOnlyDictionary<int, Baseline> Baselines, IReadOnlyList<LayerPatches> Layers, double CacheSeconds)
{
    /// <summary>With the method <c>screen</c>, the estimates of every layer over every chunk; null otherwise.</summary>
    public IReadOnlyList<LayerPatches>? Estimates { get; init; }

    /// <summary>With the method <c>screen</c>, the heads that were run, by layer; null otherwise.</summary>
    public IReadOnlyDictionary<int, int[]>? HeadsRun { get; init; }

    /// <summary>The sum over all pairs of what each part of the model adds directly to the clean run's metric; null where the metric is not linear in the logits.</summary>
    public LogitAttribution? Attribution { get; init; }
}
