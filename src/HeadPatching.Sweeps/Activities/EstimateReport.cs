namespace HeadPatching.Sweeps.Activities;

/// <summary>What estimating a chunk's effects did.</summary>
/// <param name="Chunk">The chunk.</param>
/// <param name="Reused">Whether the estimates were there already.</param>
public sealed record EstimateReport(int Chunk, bool Reused);
