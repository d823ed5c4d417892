namespace HeadPatching.Sweeps.Activities;

/// <summary>The heads to run after an estimate of all, as they lie in the store.</summary>
/// <param name="ByLayer">The heads of each layer that has some.</param>
public sealed record ScreenedHeads(IReadOnlyDictionary<int, int[]> ByLayer);
