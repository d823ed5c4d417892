namespace HeadPatching.Sweeps.Activities;

/// <summary>An activity's input: names, never tensors. Everything else is in the store under names that follow from these.</summary>
/// <param name="SweepId">The sweep.</param>
/// <param name="Chunk">The chunk of pairs, for caching and patching.</param>
/// <param name="Layer">The layer, for patching.</param>
public sealed record ActivityInput(string SweepId, int Chunk = 0, int Layer = 0);
