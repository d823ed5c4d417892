namespace HeadPatching.Sweeps.Activities;

/// <summary>What screening chose.</summary>
/// <param name="Layers">The layers that have heads to run, lowest first.</param>
public sealed record ScreenReport(IReadOnlyList<int> Layers);
