using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Testing;

/// <summary>
/// A file of activations as large as a real sweep has, in bounded memory. They run alone: what is allocated is counted for the whole
/// process.
/// </summary>
[Collection(nameof(RunsAlone))]
public abstract class LargeArtifactTests
{
    private const int Part = 1_000_000;
    private const int Parts = 200;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_hundred_megabytes_are_written_read_and_read_in_part_in_bounded_memory()
    {
        var store = await OpenEmptyAsync();
        var part = new byte[Part];
        var before = GC.GetTotalAllocatedBytes(precise: true);
        Assert.True(await store.WriteIfAbsentAsync(
            "caches/ab/layer-000.safetensors",
            async (stream, stop) =>
            {
                for (var i = 0; i < Parts; i++)
                {
                    Array.Fill(part, (byte)i);
                    await stream.WriteAsync(part, stop);
                }
            },
            Stop));
        AssertBounded("writing");

        await using var stored = (await store.OpenReadAsync("caches/ab/layer-000.safetensors", Stop))!;
        Assert.True(stored.CanSeek);
        Assert.Equal((long)Part * Parts, stored.Length);
        before = GC.GetTotalAllocatedBytes(precise: true);
        for (var i = 0; i < Parts; i++)
        {
            await stored.ReadExactlyAsync(part, Stop);
            Assert.False(part.AsSpan().ContainsAnyExcept((byte)i));
        }

        AssertBounded("reading");

        // One tensor from the middle, as a safetensors reader takes it.
        stored.Position = (150L * Part) - 10;
        await stored.ReadExactlyAsync(part.AsMemory(0, 20), Stop);
        Assert.Equal([.. Enumerable.Repeat((byte)149, 10), .. Enumerable.Repeat((byte)150, 10)], part[..20]);

        void AssertBounded(string what)
        {
            var allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
            Assert.True(allocated < 64_000_000, $"{what} 200 MB allocated {allocated:n0} bytes");
        }
    }

    /// <summary>Opens an empty store for one test.</summary>
    protected abstract Task<IArtifactStore> OpenEmptyAsync();
}
