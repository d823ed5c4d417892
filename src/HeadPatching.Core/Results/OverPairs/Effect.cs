namespace HeadPatching.Core.Results.OverPairs;

/// <summary>
/// How much of the difference between two runs a patch makes: 0 where the patched run is as it was, 1 where it is as the run whose
/// activation was put in. Denoising it is (patched - corrupted) / (clean - corrupted); noising, where the clean run is patched, it is
/// (patched - clean) / (corrupted - clean), so that swapping the direction is the same as swapping the prompts.
/// </summary>
public static class Effect
{
    /// <summary>Below this |clean - corrupted| a pair is degenerate: there is no difference to restore, and no effect; 0 stands for it.</summary>
    public const double DegenerateBelow = 1e-6;

    /// <summary>The effect of one patch on one pair.</summary>
    /// <param name="patched">The patched run's metric.</param>
    /// <param name="from">The metric of the run that is patched, unpatched.</param>
    /// <param name="to">The metric of the run whose activation is put in.</param>
    public static double Of(double patched, double from, double to) =>
        Math.Abs(to - from) < DegenerateBelow ? 0 : (patched - from) / (to - from);

    /// <summary>The effect's formula, as results say it.</summary>
    public static string Formula(Patching.Direction direction) =>
        direction == Patching.Direction.Denoise ? "(patched - corrupted) / (clean - corrupted)" : "(patched - clean) / (corrupted - clean)";
}
