using System.Text.Json;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Engine;

/// <summary>Puts requests into the store: the step that makes a sweep exist, exactly once, whoever asks and however often.</summary>
public static class SweepRequests
{
    /// <summary>Stores a request under its id, or finds the one that is there.</summary>
    /// <returns>The stored request, and whether it is new, known or another one.</returns>
    public static async Task<(SubmissionOutcome Outcome, StoredRequest Stored)> StoreAsync(
        this IArtifactStore store, StoredRequest wanted, CancellationToken cancellationToken = default)
    {
        string name = SweepArtifacts.Request(wanted.SweepId);
        if (await store.WriteJsonIfAbsentAsync(name, wanted, cancellationToken))
        {
            return (SubmissionOutcome.Accepted, wanted);
        }

        var known = await store.RequireJsonAsync<StoredRequest>(name, cancellationToken);
        return (Same(known.Request, wanted.Request) ? SubmissionOutcome.Known : SubmissionOutcome.Conflict, known);
    }

    // Records with lists in them are not equal by value; what they are written as is.
    private static bool Same(SweepRequest left, SweepRequest right) =>
        JsonSerializer.Serialize(left, ResultJson.Compact) == JsonSerializer.Serialize(right, ResultJson.Compact);
}
