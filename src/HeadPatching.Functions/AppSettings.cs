using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Functions;

/// <summary>What the app reads of its settings. In an environment the names are written with two underscores: <c>HeadPatching__Store</c>.</summary>
public sealed record AppSettings
{
    /// <summary>The host's own storage, as every Functions app has it.</summary>
    public const string HostStorage = "AzureWebJobsStorage";

    private const string CacheSetting = "HeadPatching__ModelCacheGiB";

    /// <summary>
    /// Where artifacts are kept: a connection string, an account URL (https://NAME.blob.core.windows.net, used with the app's identity), or a
    /// folder. Default: the host's own storage account.
    /// </summary>
    public required string Store { get; init; }

    /// <summary>The blob container. Default: <c>headpatching</c>.</summary>
    public string Container { get; init; } = "headpatching";

    /// <summary>A folder whose subfolders are models, beside the demo model. Default: none.</summary>
    public string? Models { get; init; }

    /// <summary>
    /// The folder that models of the store are downloaded to, on this machine's own disk; of which nothing else must make use. Default: one
    /// under the user's own data.
    /// </summary>
    public string? ModelCache { get; init; }

    /// <summary>How much that folder may hold, in GiB: the largest model at least. Default: 32.</summary>
    public double ModelCacheGiB { get; init; } = Sweeps.Models.ModelCache.DefaultGiB;

    /// <summary>
    /// Threads that libtorch takes for one activity. Default, 0: the cores, shared out among two activities at once (host.json's
    /// maxConcurrentActivityFunctions).
    /// </summary>
    public int TorchThreads { get; init; }

    /// <summary>Reads the settings.</summary>
    /// <exception cref="InvalidInputException">There is no storage, or a value cannot be; says which setting.</exception>
    public static AppSettings Read(IConfiguration configuration)
    {
        IConfigurationSection own = configuration.GetSection("HeadPatching");
        string threads = Text(own["TorchThreads"]) ?? "0";
        string? gib = Text(own["ModelCacheGiB"]);
        return new AppSettings
        {
            Store = Text(own["Store"]) ?? HostStorageOf(configuration),
            Container = Text(own["Container"]) ?? "headpatching",
            Models = Text(own["Models"]),
            ModelCache = Text(own["ModelCache"]),
            ModelCacheGiB = gib is null ? Sweeps.Models.ModelCache.DefaultGiB
                : double.TryParse(gib, NumberStyles.Float, CultureInfo.InvariantCulture, out double size) && size is > 0 and <= 1e6 ? size
                : throw new InvalidInputException(FaultKinds.InvalidOption, CacheSetting, $"'{gib}' is not a size in GiB."),
            TorchThreads = int.TryParse(threads, out int number) && number is >= 0 and <= 256
                ? number
                : throw new InvalidInputException(FaultKinds.InvalidOption, "HeadPatching__TorchThreads", $"'{threads}' is not a number of threads; 0 means the default."),
        };
    }

    /// <summary>The cache of the store's models.</summary>
    public Sweeps.Models.ModelCache OpenModelCache(ILogger logger) => new(ModelCache, ModelCacheGiB, CacheSetting, logger);

    /// <summary>Opens the artifact store.</summary>
    public IArtifactStore OpenStore() => ArtifactStores.Open(Store, "HeadPatching__Store", Container);

    // With a connection string, or by identity: then the account's name or its blob service's URL.
    private static string HostStorageOf(IConfiguration configuration)
    {
        IConfigurationSection storage = configuration.GetSection(HostStorage);
        return Text(storage.Value)
            ?? Text(storage["blobServiceUri"])
            ?? (Text(storage["accountName"]) is string account ? $"https://{account}.blob.core.windows.net" : null)
            ?? throw new InvalidInputException(
                FaultKinds.Missing, HostStorage, "There is no storage. Set it to a connection string (UseDevelopmentStorage=true for Azurite), or set AzureWebJobsStorage__accountName.");
    }

    private static string? Text(string? value) => string.IsNullOrWhiteSpace(value) ? null : value;
}
