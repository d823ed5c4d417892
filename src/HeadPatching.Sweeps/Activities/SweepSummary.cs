namespace HeadPatching.Sweeps.Activities;

/// <summary>A finished sweep in a few lines: what goes through the durable engine instead of the result.</summary>
/// <param name="SweepId">The sweep.</param>
/// <param name="Heads">Heads that were patched.</param>
/// <param name="Pairs">Pairs that they were patched on.</param>
/// <param name="Strongest">The strongest heads, at most ten, with their effects.</param>
public sealed record SweepSummary(string SweepId, int Heads, int Pairs, IReadOnlyList<HeadEffect> Strongest);
