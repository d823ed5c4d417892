using System.Globalization;
using Azure.Identity;
using HeadPatching.Azure;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Functions;

/// <summary>What the app reads of its settings. In an environment the names are written with two underscores: <c>HeadPatching__Store</c>.</summary>
public sealed record AppSettings
{
    /// <summary>The host's own storage, as every Functions app has it.</summary>
    public const string HostStorage = "AzureWebJobsStorage";

    /// <summary>The name of <see cref="Insights"/>: the platform's own.</summary>
    public const string InsightsSetting = "APPLICATIONINSIGHTS_CONNECTION_STRING";

    /// <summary>The name of <see cref="InsightsIdentity"/>: the platform's own.</summary>
    public const string InsightsIdentitySetting = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING";

    private const string CacheSetting = "HeadPatching__ModelCacheGiB";
    private const int DefaultActivitiesAtOnce = 2, DefaultKeepHistoryDays = 7;

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

    /// <summary>
    /// How much that folder may hold, in GiB: the largest model at least. 0: there is no such folder, and weights go from the store straight into memory. Default: 32.
    /// </summary>
    public double ModelCacheGiB { get; init; } = Sweeps.Models.ModelCache.DefaultGiB;

    /// <summary>
    /// How many activities run at once on a host, shared out evenly among the sweeps, and one more for a sweep that has only begun; on a GPU they
    /// take turns. Default: 2. The host takes one more than these (host.json's maxConcurrentActivityFunctions, which is to be set with this).
    /// </summary>
    public int ActivitiesAtOnce { get; init; } = DefaultActivitiesAtOnce;

    /// <summary>Threads that libtorch takes for one activity. Default, 0: the cores, shared out among <see cref="ActivitiesAtOnce"/>.</summary>
    public int TorchThreads { get; init; }

    /// <summary>How many days the history of a sweep that has ended is kept by the durable engine; its results and its status are in the store and stay. Default: 7.</summary>
    public int KeepHistoryDays { get; init; } = DefaultKeepHistoryDays;

    /// <summary>Hosts that a sweep's callback may go to, in the setting with commas between them. Default: none, and no callback is taken.</summary>
    public CallbackHosts CallbackHosts { get; init; } = CallbackHosts.None;

    /// <summary>The secret that callbacks are signed with. Needed where there are hosts.</summary>
    public string? CallbackSecret { get; init; }

    /// <summary>The connection string of the Application Insights that telemetry is sent to. Default, null: to none.</summary>
    public string? Insights { get; init; }

    /// <summary>
    /// The managed identity that sends it, of <c>Authorization=AAD;ClientId=ID</c>; without the ClientId the system-assigned one. Default, null: no
    /// identity, for an Application Insights that takes telemetry from anyone.
    /// </summary>
    public ManagedIdentityId? InsightsIdentity { get; init; }

    /// <summary>Reads the settings.</summary>
    /// <exception cref="InvalidInputException">There is no storage, or a value cannot be; says which setting.</exception>
    public static AppSettings Read(IConfiguration configuration)
    {
        IConfigurationSection own = configuration.GetSection("HeadPatching");
        string? gib = Text(own["ModelCacheGiB"]);
        return new AppSettings
        {
            Store = Text(own["Store"]) ?? HostStorageOf(configuration),
            Container = Text(own["Container"]) ?? "headpatching",
            Models = Text(own["Models"]),
            ModelCache = Text(own["ModelCache"]),
            ModelCacheGiB = gib is null ? Sweeps.Models.ModelCache.DefaultGiB
                : double.TryParse(gib, NumberStyles.Float, CultureInfo.InvariantCulture, out double size) && size is >= 0 and <= 1e6 ? size
                : throw new InvalidInputException(FaultKinds.InvalidOption, CacheSetting, $"'{gib}' is not a size in GiB; 0 means that weights are kept on no disk."),
            ActivitiesAtOnce = Whole(own, nameof(ActivitiesAtOnce), DefaultActivitiesAtOnce, 1, 64, "a number of activities from 1 to 64"),
            TorchThreads = Whole(own, nameof(TorchThreads), 0, 0, 256, "a number of threads; 0 means the default"),
            KeepHistoryDays = Whole(own, nameof(KeepHistoryDays), DefaultKeepHistoryDays, 0, 3650, "a number of days from 0 to 3650"),
            CallbackHosts = CallbackHosts.Parse(
                (own["CallbackHosts"] ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), "HeadPatching__CallbackHosts"),
            CallbackSecret = Text(own["CallbackSecret"]),
            Insights = Text(configuration[InsightsSetting]),
            InsightsIdentity = Text(configuration[InsightsIdentitySetting]) is string identity ? IdentityOf(identity) : null,
        };
    }

    /// <summary>The cache of the store's models.</summary>
    public Sweeps.Models.ModelCache OpenModelCache(ILogger logger) => new(ModelCache, ModelCacheGiB, CacheSetting, logger);

    /// <summary>What sends callbacks; null where they may go nowhere.</summary>
    /// <exception cref="InvalidInputException">There are hosts and no secret.</exception>
    public CallbackSender? OpenCallbackSender() => CallbackSender.Create(CallbackHosts, CallbackSecret, "HeadPatching__CallbackSecret", TimeProvider.System);

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

    // The host reads the same setting in the same way. The value is no secret, so the fault may show it.
    private static ManagedIdentityId IdentityOf(string setting)
    {
        string[] parts = setting.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        string? clientId = parts.Length == 2 && parts[1].StartsWith("ClientId=", StringComparison.OrdinalIgnoreCase) ? parts[1]["ClientId=".Length..] : null;
        bool byIdentity = parts.Length > 0 && parts[0].Equals("Authorization=AAD", StringComparison.OrdinalIgnoreCase);
        return byIdentity && parts.Length == 1 ? ManagedIdentityId.SystemAssigned
            : byIdentity && Guid.TryParse(clientId, out _) ? ManagedIdentityId.FromUserAssignedClientId(clientId)
            : throw new InvalidInputException(
                FaultKinds.InvalidOption, InsightsIdentitySetting, $"'{setting}' is not understood. It is 'Authorization=AAD;ClientId=ID' with the client id of a managed identity, or 'Authorization=AAD' for the app's own.");
    }

    private static int Whole(IConfigurationSection own, string name, int otherwise, int least, int most, string what) => Text(own[name]) is not string text ? otherwise
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most ? number
        : throw new InvalidInputException(FaultKinds.InvalidOption, $"HeadPatching__{name}", $"'{text}' is not {what}.");

    private static string? Text(string? value) => string.IsNullOrWhiteSpace(value) ? null : value;
}
