namespace HeadPatching.Cli.Hub;

/// <summary>What the hub says of a file before it is downloaded.</summary>
/// <param name="Name">Its name in the repository.</param>
/// <param name="Length">Its length in bytes; null where the hub does not say.</param>
/// <param name="Sha256">The SHA-256 of its content in lower-case hex; null where the hub does not know it, as for small text files.</param>
internal sealed record HubFile(string Name, long? Length, string? Sha256)
{
    /// <summary>The most bytes of a file that is no weights: ten times the largest tokenizer there is.</summary>
    public const long LongestText = 256L << 20;

    /// <summary>Why it is not fetched; null where it is. A download without end would fill the disk.</summary>
    public string? Refusal => Name.EndsWith(".safetensors", StringComparison.Ordinal)
        ? Length is null ? $"The hub does not say how long {Name} is; weights are fetched only where it does." : null
        : Length > LongestText ? $"{Name} has {Length} bytes, says the hub; no more than {LongestText} are fetched of what is no weights." : null;
}
