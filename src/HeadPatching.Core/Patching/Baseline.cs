namespace HeadPatching.Core.Patching;

/// <summary>What the two runs give on one pair before anything is patched.</summary>
/// <param name="Clean">The clean run's metric.</param>
/// <param name="Corrupted">The corrupted run's metric.</param>
public readonly record struct Baseline(double Clean, double Corrupted)
{
    /// <summary>The metric of the run that is patched, and of the run whose activation is put in.</summary>
    public (double From, double To) FromTo(Direction direction) => direction == Direction.Denoise ? (Corrupted, Clean) : (Clean, Corrupted);
}
