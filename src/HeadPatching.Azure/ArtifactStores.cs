using Azure.Identity;
using Azure.Storage.Blobs;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Azure;

/// <summary>Opens an artifact store by what the user gave: a folder, a connection string, or an account's URL.</summary>
public static class ArtifactStores
{
    // Any of these makes it a connection string, even a malformed one: a key must never end up as the name of a folder.
    private static readonly string[] ConnectionStringMarks =
    [
        "AccountName=", "AccountKey=", "BlobEndpoint=", "SharedAccessSignature=", "DefaultEndpointsProtocol=", "UseDevelopmentStorage",
    ];

    /// <summary>
    /// Opens the store. A folder is made when it is not there; a storage account is not asked anything yet
    /// (<see cref="IArtifactStore.CheckAsync"/> does).
    /// </summary>
    /// <param name="location">
    /// A folder; or a connection string of Azure Storage, also <c>UseDevelopmentStorage=true</c>; or the URL of an account,
    /// <c>https://name.blob.core.windows.net</c>, with <c>/container</c> where it is not <c>headpatching</c>. With a URL the identity is
    /// the machine's own (<see cref="DefaultAzureCredential"/>), unless the URL carries a shared access signature.
    /// </param>
    /// <param name="option">What the user calls the setting; faults name it.</param>
    /// <param name="container">The container, where the URL does not name one.</param>
    /// <exception cref="InvalidInputException">It is none of these, or the folder cannot be made. No secret is repeated.</exception>
    public static IArtifactStore Open(
        string location, string option = "--store", string container = BlobArtifactStore.DefaultContainer)
    {
        if (string.IsNullOrWhiteSpace(location))
            throw Invalid(option, "Name a folder, a connection string of Azure Storage, or the https URL of a storage account.");
        if (ConnectionStringMarks.Any(mark => location.Contains(mark, StringComparison.OrdinalIgnoreCase)))
            return new BlobArtifactStore(FromConnectionString(location, option, container), option);
        if (location.Contains("://", StringComparison.Ordinal))
            return new BlobArtifactStore(FromUrl(location, option, container), option);
        return new LocalArtifactStore(location, option);
    }

    private static BlobContainerClient FromConnectionString(string connection, string option, string container)
    {
        try
        {
            return new BlobContainerClient(connection, container, BlobArtifactStore.ClientOptions());
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException)
        {
            // The SDK's own words may hold a piece of the string.
            throw Invalid(
                option,
                "The connection string cannot be read. It needs AccountName and AccountKey, or BlobEndpoint with SharedAccessSignature, "
                + "or is UseDevelopmentStorage=true for an emulator on this machine.");
        }
    }

    private static BlobContainerClient FromUrl(string url, string option, string container)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme != Uri.UriSchemeHttps || uri.UserInfo.Length > 0)
        {
            throw Invalid(
                option,
                "A store's URL is https://ACCOUNT.blob.core.windows.net or https://ACCOUNT.blob.core.windows.net/CONTAINER. "
                + "For an emulator give a connection string.");
        }

        var parts = new BlobUriBuilder(uri);
        if (parts.BlobName.Length > 0)
            throw Invalid(option, $"{uri.GetLeftPart(UriPartial.Path)} goes further than a container. End it after the container.");
        if (parts.BlobContainerName.Length == 0)
            parts.BlobContainerName = container;
        return parts.Sas is null
            ? new BlobContainerClient(parts.ToUri(), new DefaultAzureCredential(), BlobArtifactStore.ClientOptions())
            : new BlobContainerClient(parts.ToUri(), BlobArtifactStore.ClientOptions());
    }

    private static InvalidInputException Invalid(string option, string message) => new(FaultKinds.InvalidOption, option, message);
}
