namespace HeadPatching.Http.Serving;

/// <summary>What the local server is started with.</summary>
public sealed record ServeOptions
{
    /// <summary>Where it listens by default: this machine alone.</summary>
    public const string DefaultUrl = "http://127.0.0.1:7071";

    /// <summary>Where it listens.</summary>
    public IReadOnlyList<string> Urls { get; init; } = [DefaultUrl];

    /// <summary>The artifact store: a folder, a connection string or an account's URL.</summary>
    public required string Store { get; init; }

    /// <summary>A folder whose subfolders are models, beside the demo model; null: the demo model alone.</summary>
    public string? Models { get; init; }

    /// <summary>How many activities run at once; null: the engine's default.</summary>
    public int? Parallelism { get; init; }
}
