namespace HeadPatching.Sweeps.Models;

/// <summary>A file of a model in the store.</summary>
/// <param name="Name">Its name in the model's folder.</param>
/// <param name="Length">Its length in bytes.</param>
/// <param name="Sha256">The SHA-256 of its content, in lower-case hex.</param>
public sealed record StoredModelFile(string Name, long Length, string Sha256);
