using System.Collections.Concurrent;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Specialized;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Azure.Tests;

public sealed class BlobArtifactStoreTests(AzuriteFixture azurite) : ArtifactStoreTests
{
    private BlobContainerClient _container = null!;

    [Fact]
    public async Task Two_hundred_operations_over_a_bad_network_all_come_out_right()
    {
        var server = await azurite.ServerAsync();
        await using var proxy = await FaultyProxy.StartAsync(server.BlobAddress, seed: 7, share: 0.15);
        var store = ArtifactStores.Open(server.ConnectionStringVia(proxy.Address), container: NewContainer());
        var errors = new ConcurrentQueue<string>();

        await Parallel.ForEachAsync(
            Enumerable.Range(0, 50), new ParallelOptions { MaxDegreeOfParallelism = 10, CancellationToken = Stop }, async (i, stop) =>
            {
                var content = new byte[i % 10 == 0 ? 9_000_000 : 2_000 + i];
                new Random(i).NextBytes(content);
                var name = $"sweeps/ab/{i:000}";
                Task Write(Stream stream, CancellationToken stopped) => stream.WriteAsync(content, stopped).AsTask();
                Check(await store.WriteIfAbsentAsync(name, Write, stop), "first write", i);
                Check(!await store.WriteIfAbsentAsync(name, Write, stop), "second write", i);
                await using (var stream = (await store.OpenReadAsync(name, stop))!)
                {
                    using var read = new MemoryStream();
                    await stream.CopyToAsync(read, stop);
                    Check(read.ToArray().AsSpan().SequenceEqual(content), "content", i);
                }

                Check(await store.TryReplaceTextAsync($"keys/{i:000}", "one", null, stop), "key", i);
            });
        Assert.Empty(errors);
        Assert.Equal(100, await store.ListAsync("", Stop).CountAsync(Stop));
        Assert.All(Enum.GetValues<NetworkFault>(), fault => Assert.NotEqual(0, proxy.Count(fault)));

        void Check(bool right, string what, int i)
        {
            if (!right)
                errors.Enqueue($"{what} of {i}");
        }
    }

    [Fact]
    public async Task A_write_whose_answers_are_lost_still_knows_its_own_content()
    {
        var server = await azurite.ServerAsync();
        for (var seed = 0; seed < 3; seed++)
        {
            await using var proxy = await FaultyProxy.StartAsync(server.BlobAddress, seed, share: 0.35, only: NetworkFault.AnswerLost);
            var store = ArtifactStores.Open(server.ConnectionStringVia(proxy.Address), container: NewContainer());
            Assert.True(await store.WriteIfAbsentAsync("a/small", (stream, s) => stream.WriteAsync(new byte[10], s).AsTask(), Stop));
            Assert.True(await store.WriteIfAbsentAsync("a/large", (stream, s) => stream.WriteAsync(new byte[9_000_000], s).AsTask(), Stop));
            Assert.True(await store.TryReplaceTextAsync("a/text", "one", null, Stop));
            var read = await store.ReadTextAsync("a/text", Stop);
            Assert.True(await store.TryReplaceTextAsync("a/text", "two", read!.ETag, Stop));
        }
    }

    [Fact]
    public async Task Reading_a_tensor_out_of_the_middle_does_not_fetch_the_whole_artifact()
    {
        var server = await azurite.ServerAsync();
        await using var proxy = await FaultyProxy.StartAsync(server.BlobAddress, seed: 0, share: 0);
        var store = ArtifactStores.Open(server.ConnectionStringVia(proxy.Address), container: NewContainer());
        var content = new byte[40_000_000];
        new Random(1).NextBytes(content);
        await store.WriteIfAbsentAsync("a", (stream, stop) => stream.WriteAsync(content, stop).AsTask(), Stop);

        var before = proxy.BytesAnswered;
        var part = new byte[1000];
        await using (var stream = (await store.OpenReadAsync("a", Stop))!)
        {
            stream.Position = 30_000_000;
            await stream.ReadExactlyAsync(part, Stop);
        }

        Assert.Equal(content[30_000_000..30_001_000], part);
        Assert.InRange(proxy.BytesAnswered - before, 1000, 5_000_000);
    }

    [Fact]
    public async Task A_wrong_key_fails_the_check_with_a_fault_that_does_not_repeat_it()
    {
        var server = await azurite.ServerAsync();
        const string WrongKey = "d3Jvbmcga2V5IHdyb25nIGtleQ==";
        var endpoint = new Uri(server.BlobAddress, "devstoreaccount1");
        var connection = $"AccountName=devstoreaccount1;AccountKey={WrongKey};BlobEndpoint={endpoint}";
        var store = ArtifactStores.Open(connection);
        var fault = Assert.Single((await Assert.ThrowsAsync<InvalidInputException>(() => store.CheckAsync(Stop))).Faults);
        Assert.Equal((FaultKinds.CannotWrite, "--store"), (fault.Kind, fault.Where));
        Assert.Contains("403", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(WrongKey, fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(WrongKey, store.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_account_that_cannot_be_reached_fails_the_check_with_a_fault()
    {
        // A port that was free a moment ago.
        var proxy = await FaultyProxy.StartAsync(new Uri("http://127.0.0.1"), seed: 0, share: 0);
        var address = proxy.Address;
        await proxy.DisposeAsync();

        var options = BlobArtifactStore.ClientOptions();
        options.Retry.MaxRetries = 1;
        var store = new BlobArtifactStore(new BlobContainerClient(new Uri(address, "devstoreaccount1/headpatching?sig=secret"), options));
        var fault = Assert.Single((await Assert.ThrowsAsync<InvalidInputException>(() => store.CheckAsync(Stop))).Faults);
        Assert.Equal(FaultKinds.CannotWrite, fault.Kind);
        Assert.Contains("cannot be reached", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", fault.Message, StringComparison.Ordinal);
    }

    protected override async Task<IArtifactStore> OpenEmptyAsync()
    {
        var server = await azurite.ServerAsync();
        _container = new BlobContainerClient(server.ConnectionString, NewContainer(), BlobArtifactStore.ClientOptions());
        return new BlobArtifactStore(_container, listPageSize: 7);
    }

    protected override async Task LeaveHalfWrittenAsync(string name)
    {
        await _container.CreateIfNotExistsAsync(cancellationToken: Stop);
        using var block = new MemoryStream(new byte[1000]);
        await _container.GetBlockBlobClient(name).StageBlockAsync(
            Convert.ToBase64String(Guid.NewGuid().ToByteArray()), block, cancellationToken: Stop);
    }

    private static string NewContainer() => $"test-{Guid.NewGuid():n}";
}
