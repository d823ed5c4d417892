using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Http.Serving;

/// <summary>What the local server is started with.</summary>
public sealed record ServeOptions
{
    /// <summary>Where it listens by default: this machine alone.</summary>
    public const string DefaultUrl = "http://127.0.0.1:7071";

    /// <summary>How many connections are open at once where nothing else is said.</summary>
    public const int DefaultMostConnections = 256;

    /// <summary>Where it listens.</summary>
    public IReadOnlyList<string> Urls { get; init; } = [DefaultUrl];

    /// <summary>Opens the artifact store. Called once the other options have been looked at, for it may make a folder.</summary>
    public required Func<IArtifactStore> OpenStore { get; init; }

    /// <summary>A folder whose subfolders are models, beside the demo model; null: the demo model alone.</summary>
    public string? Models { get; init; }

    /// <summary>The folder that models of the store are downloaded to; null: one under the user's own data.</summary>
    public string? DownloadedModels { get; init; }

    /// <summary>How many activities run at once; null: the engine's default.</summary>
    public int? Parallelism { get; init; }

    /// <summary>How many sweeps may wait for their turn; null: the engine's default.</summary>
    public int? MostQueued { get; init; }

    /// <summary>How many connections are open at once; what comes beyond is closed.</summary>
    public int MostConnections { get; init; } = DefaultMostConnections;

    /// <summary>Host names that requests may ask for beside the machine's own; <c>*</c> for any.</summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>Origins such as <c>https://notebooks.example.org</c> whose pages may call this server.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>Hosts that callbacks may go to; none: no callback is taken.</summary>
    public IReadOnlyList<string> CallbackHosts { get; init; } = [];

    /// <summary>The environment variable of <see cref="CallbackSecret"/>: on a command line every user of the machine would see it.</summary>
    public const string CallbackSecretVariable = "HEADPATCHING_CALLBACK_SECRET";

    /// <summary>The secret that callbacks are signed with.</summary>
    public string? CallbackSecret { get; init; }
}
