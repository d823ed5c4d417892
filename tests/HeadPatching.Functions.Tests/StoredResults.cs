using System.Text.Json.Nodes;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Functions.Tests;

/// <summary>Results as two engines must agree on them: without where the time went.</summary>
internal static class StoredResults
{
    public static async Task<string> ReadAsync(IArtifactStore store, string id)
    {
        await using Stream stream = (await store.OpenReadAsync(SweepArtifacts.Result(id, "results.json")))!;
        var result = (JsonObject)(await JsonNode.ParseAsync(stream))!;
        result.Remove("timings");
        return result.ToJsonString();
    }
}
