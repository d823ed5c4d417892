using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>What a list shows of a result without reading it.</summary>
public sealed class DigestTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private LocalArtifactStore Store => new(_folder.Path);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_large_heatmap_is_shrunk_to_the_strongest_of_each_block_and_says_no_more_than_two_decimals()
    {
        SweepResult result = await ResultAsync();
        double[][] large = [.. Enumerable.Range(0, 80).Select(layer => Enumerable.Range(0, 33).Select(head => layer == 79 && head == 31 ? -0.987 : 0.001 * head).ToArray())];
        SweepDigest digest = SweepDigest.Of(result with { Heatmap = large });
        Assert.Equal((27, 17), (digest.Heatmap.Length, digest.Heatmap[0].Length)); // blocks of 3 layers and 2 heads
        Assert.Equal(-0.99, digest.Heatmap[26][15]);
        Assert.Equal(0.03, digest.Heatmap[0][16]);
        Assert.Equal(0, SweepDigest.Of(result with { Heatmap = [[double.NaN, -0.001]] }).Heatmap[0][0]);

        double[][] whole = SweepDigest.Of(result).Heatmap;
        Assert.Equal(result.Heatmap.Select(layer => layer.Length), whole.Select(layer => layer.Length));
    }

    [Fact]
    public async Task A_sweep_whose_digest_is_missing_or_damaged_or_of_a_later_version_is_listed_without_it()
    {
        await ResultAsync();
        LocalArtifactStore store = Store;
        await using InProcessEngine engine = Engine();
        SweepStatus status = Assert.Single((await engine.ListAsync(cancellationToken: Stop)).Sweeps);
        Assert.NotNull(await new SweepDigests(store).FindAsync(status, Stop));
        foreach (string text in (string[])["{", "[]", """{"schemaVersion": 1}""", """{"schemaVersion": 99, "pairs": 1, "heatmap": [[1]]}"""])
        {
            await store.DeleteAsync(SweepArtifacts.Digest(status.Id), Stop);
            await store.ReplaceTextAsync(SweepArtifacts.Digest(status.Id), text, Stop);
            Assert.Null(await new SweepDigests(store).FindAsync(status, Stop));
        }

        await store.DeleteAsync(SweepArtifacts.Digest(status.Id), Stop);
        Assert.Empty(await new SweepDigests(store).ReadAsync([status], Stop));
    }

    [Fact]
    public async Task A_name_and_a_callback_are_no_part_of_what_a_sweep_is()
    {
        string plain = await IdAsync(new SweepRequest());
        Assert.Equal(plain, await IdAsync(new SweepRequest { Name = "mine", Callback = "https://hooks.example.org/" }));
        Assert.NotEqual(plain, await IdAsync(new SweepRequest { Patch = Patch.Q }));

        async Task<string> IdAsync(SweepRequest request) =>
            SweepIds.OfContent(await new StoredPlans(Store, new ModelCatalog()).PlanAsync(request, DateTimeOffset.UnixEpoch, FaultPlaces.JsonPaths, Stop));
    }

    private InProcessEngine Engine() => new(Store, new ModelCatalog(), reports: []);

    private async Task<SweepResult> ResultAsync()
    {
        await using InProcessEngine engine = Engine();
        SweepStatus status = await engine.RunAsync(SweepIds.New(), new SweepRequest(), Stop);
        return await engine.Store.RequireJsonAsync<SweepResult>(SweepArtifacts.Result(status.Id, "results.json"), Stop);
    }

    public void Dispose() => _folder.Dispose();
}
