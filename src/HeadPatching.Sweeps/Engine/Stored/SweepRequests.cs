using System.Text.Json;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Engine.Stored;

/// <summary>Puts requests into the store: the step that makes a sweep exist, exactly once, whoever asks and however often.</summary>
public static class SweepRequests
{
    /// <summary>Stores a request under its id, or finds the one that is there.</summary>
    /// <returns>The stored request, and whether it is new, known or another one.</returns>
    /// <exception cref="DamagedArtifactException">There is one, and it cannot be read.</exception>
    public static async Task<(SubmissionOutcome Outcome, StoredRequest Stored)> StoreAsync(
        this IArtifactStore store, StoredRequest wanted, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            // A sweep of the same id may be on its way out of the store: what is written now must not go with it.
            bool mayReturn = !SweepIds.IsNeverUsedAgain(wanted.SweepId);
            if (mayReturn)
            {
                await store.WaitForDeletionAsync(wanted.SweepId, cancellationToken);
            }

            // First, so that no accepted sweep is without it. Of a sweep that is there already, the callback is sent or on its way.
            if (wanted.Request.Callback is not null && !await store.ExistsAsync(SweepArtifacts.Request(wanted.SweepId), cancellationToken))
            {
                await CallbackDeliveries.MarkAsync(store, wanted.SweepId, cancellationToken);
            }

            bool written = await store.WriteJsonIfAbsentAsync(SweepArtifacts.Request(wanted.SweepId), wanted, cancellationToken);
            if (mayReturn && await store.IsBeingDeletedAsync(wanted.SweepId, cancellationToken))
            {
                continue;
            }

            if (written)
            {
                return (SubmissionOutcome.Accepted, wanted);
            }

            if (await store.ReadRequestAsync(wanted.SweepId, cancellationToken) is StoredRequest known)
            {
                return (Same(known.Request, wanted.Request) ? SubmissionOutcome.Known : SubmissionOutcome.Conflict, known);
            }
        }
    }

    /// <summary>Reads a sweep's request; null where there is none.</summary>
    /// <exception cref="DamagedArtifactException">There is one, and it cannot be read.</exception>
    public static async Task<StoredRequest?> ReadRequestAsync(this IArtifactStore store, string sweepId, CancellationToken cancellationToken = default)
    {
        string name = SweepArtifacts.Request(sweepId);
        var stored = await store.ReadJsonAsync<StoredRequest>(name, cancellationToken);
        return stored switch
        {
            { SchemaVersion: > StoredRequest.NewestSchema } => throw StoredStatus.Newer(name, stored.SchemaVersion, StoredRequest.NewestSchema),
            { Request: null } => throw new DamagedArtifactException(name, "there is no request in it"),
            not null when stored.SweepId != sweepId => throw new DamagedArtifactException(name, "it is the request of another sweep"),
            _ => stored,
        };
    }

    // Records with lists in them are not equal by value; what they are written as is. A default that is said is the same as one that is not.
    private static bool Same(SweepRequest left, SweepRequest right) => Written(left) == Written(right);

    private static string Written(SweepRequest request) => JsonSerializer.Serialize(request.Said(), ResultJson.Compact);
}
