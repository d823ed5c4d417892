namespace HeadPatching.Core.Patching;

/// <summary>Everything that the runs of a sweep gave, before it is put together.</summary>
/// <param name="Baselines">The unpatched metrics of each pair, by the pair's index in the dataset.</param>
/// <param name="Layers">The patched runs, in any order: every layer over every chunk.</param>
/// <param name="CacheSeconds">Seconds in clean and corrupted runs.</param>
public sealed record SweepRuns(IReadOnlyDictionary<int, Baseline> Baselines, IReadOnlyList<LayerPatches> Layers, double CacheSeconds);
