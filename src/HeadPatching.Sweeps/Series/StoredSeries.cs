using System.Security.Cryptography;
using System.Text.Json;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Series;

/// <summary>
/// One sweep of several models, as it lies in the store: which sweep is which model's, and no more. Each is a sweep like any other, and what was asked
/// and found is with it alone.
/// </summary>
public sealed record StoredSeries
{
    /// <summary>The form that this version writes, and the newest that it reads.</summary>
    public const int NewestSchema = 1;

    /// <summary>The form of the stored series.</summary>
    public int SchemaVersion { get; init; } = NewestSchema;

    /// <summary>Its id, of the same form as a sweep's.</summary>
    public required string Id { get; init; }

    /// <summary>When it was asked for.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>SHA-256 of what was asked: the models in their order, and the request.</summary>
    public required string Content { get; init; }

    /// <summary>What each sweep does in a few words.</summary>
    public required string Title { get; init; }

    /// <summary>The name that the request gives; null where it gives none.</summary>
    public string? Name { get; init; }

    /// <summary>The dataset's name.</summary>
    public required string Dataset { get; init; }

    /// <summary>What is patched.</summary>
    public required Patch Patch { get; init; }

    /// <summary>The models in their order.</summary>
    public required IReadOnlyList<SeriesSweep> Sweeps { get; init; }

    /// <summary>The series of a request.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="createdAt">When it was asked for.</param>
    /// <param name="request">What each model is to be swept by.</param>
    /// <param name="models">The models' names, no two the same.</param>
    public static StoredSeries Of(string id, DateTimeOffset createdAt, SweepRequest request, IReadOnlyList<string> models)
    {
        byte[] asked = JsonSerializer.SerializeToUtf8Bytes(new { models, request = request.Said() with { Model = "", Callback = null } }, ResultJson.Compact);
        string content = Convert.ToHexStringLower(SHA256.HashData(asked));
        return new StoredSeries
        {
            Id = id,
            CreatedAt = createdAt,
            Content = content,
            Title = SweepTitle.Of(request.Patch, request.Ablation, request.Receivers, request.Method),
            Name = request.Name,
            Dataset = request.DatasetName(),
            Patch = request.Patch,
            Sweeps = [.. models.Select(model => new SeriesSweep(model, SweepIds.OfKey(KeyOf(id, content, model))))],
        };
    }

    /// <summary>The series of an <c>Idempotency-Key</c>: the same key, the same series. A sweep of that key is another thing.</summary>
    public static string IdOfKey(string idempotencyKey) => SweepIds.OfKey($"series\n{idempotencyKey}"); // no key that comes over HTTP has a line break

    /// <summary>The key of a model's sweep: whoever asks again for the series comes to the same sweeps.</summary>
    public string KeyOf(string model) => KeyOf(Id, Content, model);

    private static string KeyOf(string id, string content, string model) => $"series\n{id}\n{content}\n{model}";
}

/// <summary>A model of a series.</summary>
/// <param name="Model">Its name.</param>
/// <param name="SweepId">Its sweep.</param>
public sealed record SeriesSweep(string Model, string SweepId);

/// <summary>Series in the store.</summary>
public static class StoredSeriesFiles
{
    /// <summary>Reads a series; null where there is none.</summary>
    /// <exception cref="DamagedArtifactException">There is one, and it cannot be read.</exception>
    public static async Task<StoredSeries?> ReadSeriesAsync(this IArtifactStore store, string id, CancellationToken cancellationToken = default)
    {
        if (!SweepIds.IsValid(id))
        {
            return null;
        }

        string name = SweepArtifacts.SeriesOf(id);
        var stored = await store.ReadJsonAsync<StoredSeries>(name, cancellationToken);
        return stored switch
        {
            { SchemaVersion: > StoredSeries.NewestSchema } => throw new DamagedArtifactException(name, "a newer version of HeadPatching wrote it"),
            not null when stored.Id != id || stored.Sweeps is null or [] => throw new DamagedArtifactException(name, "it is not this series"),
            _ => stored,
        };
    }

    /// <summary>The same; null, too, where it cannot be read.</summary>
    public static async Task<StoredSeries?> ReadSeriesIfWholeAsync(this IArtifactStore store, string id, CancellationToken cancellationToken = default)
    {
        try
        {
            return await store.ReadSeriesAsync(id, cancellationToken);
        }
        catch (DamagedArtifactException)
        {
            return null;
        }
    }
}
