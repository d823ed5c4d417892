namespace HeadPatching.Sweeps.Models;

/// <summary>A model of a listing.</summary>
/// <param name="Name">The name to ask for.</param>
/// <param name="Shape">Its shape; null where it cannot be swept.</param>
/// <param name="Problem">Why it cannot be swept; null where it can.</param>
public sealed record ListedModel(string Name, ModelShape? Shape, string? Problem = null);
