using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;

namespace HeadPatching.Sweeps.Storage;

/// <summary>Records in the store, as JSON.</summary>
public static class StoredJson
{
    /// <summary>Reads a record; null where there is none.</summary>
    /// <exception cref="DamagedArtifactException">What is there is not such a record.</exception>
    public static async Task<T?> ReadJsonAsync<T>(this IArtifactStore store, string name, CancellationToken cancellationToken = default)
        where T : class
    {
        await using Stream? stream = await store.OpenReadAsync(name, cancellationToken);
        if (stream is null)
        {
            return null;
        }

        try
        {
            return await JsonSerializer.DeserializeAsync<T>(stream, ResultJson.Compact, cancellationToken) ?? throw new DamagedArtifactException(name, "it holds nothing");
        }
        catch (Exception e) when (IsOfTheContent(e))
        {
            throw DamagedArtifactException.Of(name, e);
        }
    }

    /// <summary>Reads a record that can be made again; null where there is none, or a torn one.</summary>
    public static async Task<T?> ReadDerivedJsonAsync<T>(this IArtifactStore store, string name, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            return await store.ReadJsonAsync<T>(name, cancellationToken);
        }
        catch (DamagedArtifactException)
        {
            return null;
        }
    }

    /// <summary>Writes a record that can be made again, without waiting for the disk.</summary>
    public static Task WriteDerivedJsonAsync<T>(this IArtifactStore store, string name, T record, CancellationToken cancellationToken) => store.WriteDerivedAsync(
        name, (stream, cancel) => JsonSerializer.SerializeAsync(stream, record, ResultJson.Compact, cancel), cancellationToken);

    /// <summary>Reads a record from a text.</summary>
    /// <exception cref="DamagedArtifactException">The text is no such record.</exception>
    internal static T Parse<T>(string name, string text)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(text, ResultJson.Compact) ?? throw new DamagedArtifactException(name, "it holds nothing");
        }
        catch (Exception e) when (IsOfTheContent(e))
        {
            throw DamagedArtifactException.Of(name, e);
        }
    }

    /// <summary>Reads a record that must be there.</summary>
    /// <exception cref="InvalidOperationException">It is not.</exception>
    /// <exception cref="DamagedArtifactException">What is there is not such a record.</exception>
    public static async Task<T> RequireJsonAsync<T>(this IArtifactStore store, string name, CancellationToken cancellationToken = default)
        where T : class =>
        await store.ReadJsonAsync<T>(name, cancellationToken) ?? throw Missing(name);

    /// <summary>Opens an artifact that must be there.</summary>
    /// <exception cref="InvalidOperationException">It is not.</exception>
    public static async Task<Stream> RequireReadAsync(this IArtifactStore store, string name, CancellationToken cancellationToken = default) =>
        await store.OpenReadAsync(name, cancellationToken) ?? throw Missing(name);

    /// <summary>Writes a record where there is none yet.</summary>
    /// <returns>Whether it was written; false where another was there first.</returns>
    public static Task<bool> WriteJsonIfAbsentAsync<T>(this IArtifactStore store, string name, T record, CancellationToken cancellationToken = default) =>
        store.WriteIfAbsentAsync(name, (stream, cancel) => JsonSerializer.SerializeAsync(stream, record, ResultJson.Compact, cancel), cancellationToken);

    // What the serialiser and our converters throw; what a store throws is about the store.
    private static bool IsOfTheContent(Exception e) =>
        e is JsonException or FormatException or ArgumentException or InvalidOperationException or NotSupportedException or OverflowException or InvalidInputException;

    private static InvalidOperationException Missing(string name) => new($"The artifact {name} is missing from the store.");
}
