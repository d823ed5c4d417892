namespace HeadPatching.Cli.Hub;

/// <summary>What the hub says of a file before it is downloaded.</summary>
/// <param name="Name">Its name in the repository.</param>
/// <param name="Length">Its length in bytes; null where the hub does not say.</param>
/// <param name="Sha256">The SHA-256 of its content in lower-case hex; null where the hub does not know it, as for small text files.</param>
internal sealed record HubFile(string Name, long? Length, string? Sha256);
