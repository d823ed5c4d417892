namespace HeadPatching.Core.Patching;

/// <summary>What the two runs give on one pair before anything is patched.</summary>
/// <param name="Clean">The clean run's metric.</param>
/// <param name="Corrupted">The corrupted run's metric.</param>
public sealed record Baseline(double Clean, double Corrupted);
