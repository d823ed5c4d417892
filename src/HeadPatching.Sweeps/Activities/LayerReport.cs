namespace HeadPatching.Sweeps.Activities;

/// <summary>What patching a layer over a chunk did.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Chunk">The chunk.</param>
/// <param name="Reused">Whether the layer's result was there already.</param>
/// <param name="PatchedRuns">Patched runs made; 0 where it was.</param>
public sealed record LayerReport(int Layer, int Chunk, bool Reused, long PatchedRuns);
