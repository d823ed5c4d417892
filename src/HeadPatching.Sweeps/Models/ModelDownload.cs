namespace HeadPatching.Sweeps.Models;

/// <summary>How far a model's download from the store is.</summary>
/// <param name="Model">Its name.</param>
/// <param name="Reached">How many of its bytes are here.</param>
/// <param name="Bytes">How many it has.</param>
public sealed record ModelDownload(string Model, long Reached, long Bytes);
