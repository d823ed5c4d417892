namespace HeadPatching.Core.Results.OverPairs;

/// <summary>How the intervals of all heads were made to hold together, and how the ranking was tried.</summary>
/// <param name="Kind">What kind of interval each <c>jointInterval</c> is, in words.</param>
/// <param name="Miss">How often each may leave out what it should hold, so that all of them together do in 5 of 100 sweeps: 0.05 through the number of heads at the least.</param>
/// <param name="Cells">How many effects were looked at: the heads that vary over pairs, by position or role each of their places.</param>
/// <param name="Draws">How often pairs were drawn again; 0 where there were too many cells.</param>
/// <param name="Tops">Among how many of the strongest <c>inTop</c> says a head is, such as <c>[1, 5, 10, 20]</c>: those that are fewer than the heads.</param>
public sealed record JointIntervals(string Kind, double Miss, int Cells, int Draws, IReadOnlyList<int> Tops)
{
    /// <summary>What <see cref="Tops"/> are where there are heads enough.</summary>
    public static IReadOnlyList<int> AllTops { get; } = [1, 5, 10, 20];

    internal const string BootstrapKind = "95 % for all heads together: each at the level that a bootstrap of the largest deviation (Westfall and Young 1993) gives";

    internal const string BonferronisKind = "95 % for all heads together: each at the level of Bonferroni's correction";
}
