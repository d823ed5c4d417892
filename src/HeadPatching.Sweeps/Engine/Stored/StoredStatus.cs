using System.Text.Json;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Engine.Stored;

/// <summary>A sweep's status in the store. It is written by compare and set, and never goes back (<see cref="SweepStatus.Follows"/>).</summary>
public static class StoredStatus
{
    /// <summary>
    /// Where a sweep stands by what the store holds: null where there is no such sweep; one whose status or request cannot be read is damaged.
    /// </summary>
    public static async Task<SweepStatus?> FindStatusAsync(this IArtifactStore store, string sweepId, CancellationToken cancellationToken = default)
    {
        try
        {
            if (await store.ReadTextAsync(SweepArtifacts.Status(sweepId), cancellationToken) is StoredText text)
            {
                return Parse(sweepId, text.Text);
            }

            // Its process ended between storing the request and the first status.
            var stored = await store.ReadRequestAsync(sweepId, cancellationToken);
            return stored is null ? null : SweepStatus.Queued(stored);
        }
        catch (DamagedArtifactException e)
        {
            DateTimeOffset? oldest = null;
            await foreach (ArtifactInfo artifact in store.ListAsync(SweepArtifacts.Folder(sweepId), cancellationToken))
            {
                oldest = oldest < artifact.LastModified ? oldest : artifact.LastModified;
            }

            return oldest is null ? null : SweepStatus.Damaged(sweepId, e.Message, oldest.Value);
        }
    }

    /// <summary>Stores a status where nothing has changed since it was read.</summary>
    /// <param name="store">The store.</param>
    /// <param name="status">The status.</param>
    /// <param name="etag">The version that was read; null: there is none yet.</param>
    /// <param name="cancellationToken">Stops the call.</param>
    /// <returns>False where another was quicker: read it again, then decide anew.</returns>
    internal static Task<bool> TryReplaceStatusAsync(this IArtifactStore store, SweepStatus status, string? etag, CancellationToken cancellationToken = default) =>
        store.TryReplaceTextAsync(SweepArtifacts.Status(status.Id), JsonSerializer.Serialize(status, ResultJson.Compact), etag, cancellationToken);

    /// <summary>Stores how a sweep ended, of which no status is stored while it runs; of a sweep that was deleted meanwhile nothing stays.</summary>
    public static async Task StoreEndAsync(this IArtifactStore store, SweepStatus status, CancellationToken cancellationToken = default)
    {
        await store.TryReplaceStatusAsync(status, etag: null, cancellationToken); // somebody else's is the same
        if (!await store.ExistsAsync(SweepArtifacts.Request(status.Id), cancellationToken))
        {
            await store.DeleteLeftoversAsync(status.Id, cancellationToken);
        }
    }

    /// <summary>Stores the next status of a run that is under way.</summary>
    /// <returns>False where it does not follow what is stored: the run was taken over, or ended, or the sweep is deleted.</returns>
    internal static async Task<bool> AdvanceStatusAsync(this IArtifactStore store, SweepStatus status, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            StoredText? text = await store.ReadTextAsync(SweepArtifacts.Status(status.Id), cancellationToken);
            if (text is null || !status.Follows(ParseOrOwn(text.Text)))
            {
                return false;
            }

            if (await store.TryReplaceStatusAsync(status, text.ETag, cancellationToken))
            {
                return true;
            }
        }

        // What has become unreadable meanwhile is mended by its owner.
        SweepStatus ParseOrOwn(string text)
        {
            try
            {
                return Parse(status.Id, text);
            }
            catch (DamagedArtifactException)
            {
                return status with { Status = SweepState.Queued };
            }
        }
    }

    /// <exception cref="DamagedArtifactException">It is no status of this sweep.</exception>
    internal static SweepStatus Parse(string sweepId, string text)
    {
        string name = SweepArtifacts.Status(sweepId);
        SweepStatus status = StoredJson.Parse<SweepStatus>(name, text);
        return status switch
        {
            { SchemaVersion: > SweepStatus.NewestSchema } => throw Newer(name, status.SchemaVersion, SweepStatus.NewestSchema),
            { Model: null } or { Dataset: null } or { Progress: null } => throw new DamagedArtifactException(name, "something is missing in it"),
            _ when status.Id != sweepId => throw new DamagedArtifactException(name, "it is the status of another sweep"),
            _ => status,
        };
    }

    internal static DamagedArtifactException Newer(string name, int schema, int newestKnown) =>
        new(name, FormattableString.Invariant($"a newer version of HeadPatching wrote it (schema {schema}; this one knows {newestKnown})"));
}
