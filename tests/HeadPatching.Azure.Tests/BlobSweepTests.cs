using System.Text.Json.Nodes;
using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Azure.Tests;

public sealed class BlobSweepTests(AzuriteFixture azurite)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Both_stores_give_the_same_result()
    {
        AzuriteServer server = await azurite.ServerAsync();
        IArtifactStore blobs = ArtifactStores.Open(server.ConnectionString, container: $"engine-{Guid.NewGuid():N}");
        await blobs.CheckAsync(Stop);
        using var folder = new TemporaryFolder();
        var options = new EngineOptions { Parallelism = 2 };
        await using InProcessEngine onBlobs = new(blobs, new ModelCatalog(), reports: [], options), onDisk = new(new LocalArtifactStore(folder.Path), new ModelCatalog(), reports: [], options);
        string id = SweepIds.OfKey("both");
        var request = new SweepRequest { Patch = Patch.K, Positions = Positions.Each };
        Assert.Equal(SweepState.Completed, (await onBlobs.RunAsync(id, request, Stop)).Status);
        Assert.Equal(SweepState.Completed, (await onDisk.RunAsync(id, request, Stop)).Status);
        Assert.Equal(await ResultAsync(onDisk.Store, id), await ResultAsync(blobs, id));
    }

    private static async Task<string> ResultAsync(IArtifactStore store, string id)
    {
        await using Stream stream = await store.RequireReadAsync(SweepArtifacts.Result(id, "results.json"), Stop);
        var result = (JsonObject)(await JsonNode.ParseAsync(stream, cancellationToken: Stop))!;
        result.Remove("timings");
        return result.ToJsonString();
    }
}
