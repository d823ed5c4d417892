namespace HeadPatching.Sweeps.Models;

/// <summary>A model in the store and its name there.</summary>
/// <param name="Name">The name.</param>
/// <param name="Model">What its manifest says.</param>
public sealed record NamedModel(string Name, StoredModel Model);
