using System.Text;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Testing;

/// <summary>What every artifact store promises. Each store derives from this and says how to open it.</summary>
public abstract class ArtifactStoreTests : IAsyncLifetime
{
    private const string Name = "sweeps/ab12/layers/layer-003-chunk-000.json";

    /// <summary>The store under test, empty at the start of every test.</summary>
    protected IArtifactStore Store { get; private set; } = null!;

    /// <summary>Ends the calls of a test that is stopped.</summary>
    protected static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => Store = await OpenEmptyAsync();

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_store_that_can_be_written_passes_its_check_and_stays_empty()
    {
        await Store.CheckAsync(Stop);
        Assert.Empty(await NamesAsync(""));
    }

    [Fact]
    public async Task What_is_not_there_is_absent_in_every_way_of_asking()
    {
        Assert.False(await Store.ExistsAsync(Name, Stop));
        Assert.Null(await Store.OpenReadAsync(Name, Stop));
        Assert.Null(await Store.ReadTextAsync(Name, Stop));
        Assert.Empty(await NamesAsync("sweeps"));
        await Store.DeleteAsync(Name, Stop);
        await Store.DeletePrefixAsync("sweeps", Stop);
    }

    [Fact]
    public async Task An_artifact_is_written_once_and_the_first_stays()
    {
        Assert.True(await WriteAsync(Name, "first"));
        Assert.False(await WriteAsync(Name, "second"));
        Assert.True(await Store.ExistsAsync(Name, Stop));
        Assert.Equal("first", await ReadAsync(Name));
    }

    [Fact]
    public async Task An_artifact_that_is_there_costs_no_second_writing()
    {
        await WriteAsync(Name, "first");
        Assert.False(await Store.WriteIfAbsentAsync(Name, (_, _) => throw new InvalidOperationException("Written again."), Stop));
    }

    [Fact]
    public async Task An_empty_artifact_is_an_artifact()
    {
        Assert.True(await WriteAsync(Name, ""));
        Assert.True(await Store.ExistsAsync(Name, Stop));
        Assert.Equal("", await ReadAsync(Name));
        Assert.False(await WriteAsync(Name, "second"));
    }

    [Theory]
    [InlineData(1_000)]
    [InlineData(20_000_000)]
    public async Task Of_twenty_writers_at_once_exactly_one_wins_and_its_content_is_whole(int length)
    {
        var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var writers = Enumerable.Range(0, 20).Select(async writer =>
        {
            await start.Task;
            return await Store.WriteIfAbsentAsync(Name, (stream, stop) => WriteBytesAsync(stream, (byte)writer, length, stop), Stop);
        }).ToArray();
        start.SetResult();
        var won = await Task.WhenAll(writers);

        var winner = Assert.Single(Enumerable.Range(0, 20), writer => won[writer]);
        await using var stored = await Store.OpenReadAsync(Name, Stop);
        var content = new byte[length + 1];
        Assert.Equal(length, await stored!.ReadAtLeastAsync(content, content.Length, throwOnEndOfStream: false, Stop));
        Assert.False(content.AsSpan(0, length).ContainsAnyExcept((byte)winner));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(20_000_000)]
    public async Task A_writer_that_fails_midway_leaves_nothing_and_is_in_nobodys_way(int length)
    {
        var failure = await Assert.ThrowsAsync<IOException>(() => Store.WriteIfAbsentAsync(
            Name,
            async (stream, stop) =>
            {
                await WriteBytesAsync(stream, 1, length, stop);
                throw new IOException("The tensor is gone.");
            },
            Stop));
        Assert.Equal("The tensor is gone.", failure.Message);
        Assert.False(await Store.ExistsAsync(Name, Stop));
        Assert.Empty(await NamesAsync(""));
        Assert.True(await WriteAsync(Name, "whole"));
        Assert.Equal("whole", await ReadAsync(Name));
    }

    [Fact]
    public async Task Pieces_of_an_artifact_are_read_alone_in_any_order()
    {
        byte[] content = new byte[20_000_003];
        new Random(1).NextBytes(content);
        Assert.True(await Store.WriteIfAbsentAsync(Name, (stream, stop) => stream.WriteAsync(content, stop).AsTask(), Stop));

        (int From, int Length)[] places = [(19_999_999, 4), (0, 1), (5_000_000, 9_000_000), .. Enumerable.Range(0, 30).Select(i => (i * 600_000, 300_000))];
        ArtifactPiece[] pieces = [.. places.Select(place => new ArtifactPiece(place.From, new byte[place.Length]))];
        Assert.True(await Store.ReadPiecesAsync(Name, pieces, Stop));

        Assert.All(places.Zip(pieces), one => Assert.True(content.AsSpan(one.First.From, one.First.Length).SequenceEqual(one.Second.Into.Span)));
    }

    [Fact]
    public async Task Pieces_of_what_is_not_there_or_ends_before_them_are_not_read()
    {
        Assert.False(await Store.ReadPiecesAsync(Name, [new ArtifactPiece(0, new byte[4])], Stop));
        Assert.True(await WriteAsync(Name, "0123456789"));
        Assert.True(await Store.ReadPiecesAsync(Name, [new ArtifactPiece(6, new byte[4])], Stop));
        Assert.False(await Store.ReadPiecesAsync(Name, [new ArtifactPiece(0, new byte[4]), new ArtifactPiece(7, new byte[4])], Stop));
        Assert.False(await Store.ReadPiecesAsync(Name, [new ArtifactPiece(100, new byte[4])], Stop));
    }

    [Fact]
    public async Task A_cancelled_writer_leaves_nothing()
    {
        using var cancel = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.WriteIfAbsentAsync(
            Name,
            async (stream, stop) =>
            {
                await stream.WriteAsync("half"u8.ToArray(), stop);
                await cancel.CancelAsync();
                stop.ThrowIfCancellationRequested();
            },
            cancel.Token));
        Assert.False(await Store.ExistsAsync(Name, Stop));
        Assert.Empty(await NamesAsync(""));
    }

    [Fact]
    public async Task What_a_killed_process_left_half_written_is_neither_seen_nor_in_the_way()
    {
        await LeaveHalfWrittenAsync(Name);
        Assert.False(await Store.ExistsAsync(Name, Stop));
        Assert.Null(await Store.OpenReadAsync(Name, Stop));
        Assert.Empty(await NamesAsync(""));
        Assert.True(await WriteAsync(Name, "whole"));
        Assert.Equal([Name], await NamesAsync(""));
        Assert.Equal("whole", await ReadAsync(Name));
    }

    [Fact]
    public async Task Content_written_without_await_arrives_too()
    {
        var bytes = Encoding.UTF8.GetBytes(new string('x', 100_000));
        Assert.True(await Store.WriteIfAbsentAsync(
            Name,
            (stream, _) =>
            {
                for (var i = 0; i < 200; i++)
                    stream.Write(bytes);
                stream.Flush();
                return Task.CompletedTask;
            },
            Stop));
        var artifact = Assert.Single(await ListAsync("sweeps/ab12"));
        Assert.Equal(20_000_000, artifact.Length);
    }

    [Fact]
    public async Task A_listing_gives_all_names_below_the_folder_in_order_over_many_pages()
    {
        string[] names = [.. Enumerable.Range(0, 120).Select(i => $"sweeps/ab/layers/layer-{i:000}.json")];
        await Parallel.ForEachAsync(names, Stop, async (name, _) => await WriteAsync(name, name));
        await WriteAsync("sweeps/ab12/plan.json", "{}");
        await WriteAsync("caches/ab/plan.json", "{}");

        Assert.Equal(names, await NamesAsync("sweeps/ab"));
        Assert.Equal(names, await NamesAsync("sweeps/ab/"));
        Assert.Equal(122, (await NamesAsync("")).Count);
        Assert.Equal([.. names, "sweeps/ab12/plan.json"], await NamesAsync("sweeps"));
        Assert.Empty(await NamesAsync("sweeps/a"));
        var first = (await ListAsync("sweeps"))[0];
        Assert.Equal(names[0].Length, first.Length);
        Assert.InRange(first.LastModified, DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow.AddMinutes(10));
    }

    [Fact]
    public async Task The_folders_of_a_folder_are_listed_without_what_is_in_them()
    {
        string[] folders = [.. Enumerable.Range(0, 20).Select(i => $"{i:00}")];
        foreach (var folder in folders.Reverse())
            await WriteAsync($"sweeps/{folder}/layers/0.json", "x");
        await WriteAsync("sweeps/artifact.json", "x");
        await WriteAsync("sweeps2/30/x", "x");

        Assert.Equal(folders, await FoldersAsync("sweeps"));
        Assert.Equal(folders, await FoldersAsync("sweeps/"));
        Assert.Equal(["layers"], await FoldersAsync("sweeps/03"));
        Assert.Empty(await FoldersAsync("sweeps/03/layers"));
        Assert.Empty(await FoldersAsync("none"));
        Assert.Equal(["sweeps", "sweeps2"], await FoldersAsync(""));
        await Store.DeletePrefixAsync("sweeps/03", Stop);
        await Store.DeleteAsync("sweeps2/30/x", Stop);
        Assert.DoesNotContain("03", await FoldersAsync("sweeps"));
        Assert.Empty(await FoldersAsync("sweeps2"));
        await Assert.ThrowsAsync<ArgumentException>(() => FoldersAsync("../sweeps"));

        async Task<List<string>> FoldersAsync(string prefix) => await Store.ListFoldersAsync(prefix, Stop).ToListAsync(Stop);
    }

    [Fact]
    public async Task Deleting_a_folder_takes_all_below_it_and_nothing_beside_it()
    {
        foreach (var name in (string[])["sweeps/ab/plan.json", "sweeps/ab/layers/0.json", "sweeps/ab12/plan.json", "sweeps/ab.json"])
            await WriteAsync(name, name);
        await Store.DeletePrefixAsync("sweeps/ab", Stop);
        Assert.Equal(["sweeps/ab.json", "sweeps/ab12/plan.json"], await NamesAsync(""));
        Assert.True(await WriteAsync("sweeps/ab/plan.json", "again"));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.DeletePrefixAsync("", Stop));
    }

    [Fact]
    public async Task A_deleted_artifact_can_be_written_anew()
    {
        await WriteAsync(Name, "first");
        await Store.DeleteAsync(Name, Stop);
        Assert.False(await Store.ExistsAsync(Name, Stop));
        Assert.True(await WriteAsync(Name, "second"));
        Assert.Equal("second", await ReadAsync(Name));
    }

    [Fact]
    public async Task A_text_is_replaced_whole_and_read_as_it_was_written()
    {
        await Store.ReplaceTextAsync("sweeps/ab12/status.json", "a long text, then ", Stop);
        await Store.ReplaceTextAsync("sweeps/ab12/status.json", "Ä ██ 中", Stop);
        Assert.Equal("Ä ██ 中", (await Store.ReadTextAsync("sweeps/ab12/status.json", Stop))!.Text);
    }

    [Fact]
    public async Task Compare_and_set_writes_only_over_what_was_read()
    {
        Assert.True(await Store.TryReplaceTextAsync("keys/k1", "one", etag: null, Stop));
        Assert.False(await Store.TryReplaceTextAsync("keys/k1", "other", etag: null, Stop));
        var one = (await Store.ReadTextAsync("keys/k1", Stop))!;
        Assert.True(await Store.TryReplaceTextAsync("keys/k1", "two", one.ETag, Stop));
        Assert.False(await Store.TryReplaceTextAsync("keys/k1", "three", one.ETag, Stop));
        Assert.Equal("two", (await Store.ReadTextAsync("keys/k1", Stop))!.Text);
        await Store.DeleteAsync("keys/k1", Stop);
        Assert.False(await Store.TryReplaceTextAsync("keys/k1", "four", one.ETag, Stop));
        Assert.Null(await Store.ReadTextAsync("keys/k1", Stop));
    }

    [Fact]
    public async Task Of_twenty_that_take_a_key_at_once_exactly_one_gets_it()
    {
        var taken = await Task.WhenAll(Enumerable.Range(0, 20).Select(
            i => Task.Run(() => Store.TryReplaceTextAsync("keys/k1", $"sweep {i}", etag: null, Stop), Stop)));
        var winner = Assert.Single(Enumerable.Range(0, 20), i => taken[i]);
        Assert.Equal($"sweep {winner}", (await Store.ReadTextAsync("keys/k1", Stop))!.Text);
    }

    [Fact]
    public async Task Counting_up_by_compare_and_set_loses_no_count()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(CountUpAsync, Stop)));
        Assert.Equal("40", (await Store.ReadTextAsync("status.json", Stop))!.Text);

        async Task CountUpAsync()
        {
            for (var done = 0; done < 5;)
            {
                var read = await Store.ReadTextAsync("status.json", Stop);
                var next = int.Parse(read?.Text ?? "0", null) + 1;
                if (await Store.TryReplaceTextAsync("status.json", $"{next}", read?.ETag, Stop))
                    done++;
            }
        }
    }

    [Fact]
    public async Task A_reader_goes_on_undisturbed_while_the_text_is_replaced_over_and_over()
    {
        string[] texts = [new string('a', 50_000), new string('b', 70_000)];
        await Store.ReplaceTextAsync("status.json", texts[0], Stop);
        var writer = Task.Run(
            async () =>
            {
                for (var i = 0; i < 50; i++)
                    await Store.ReplaceTextAsync("status.json", texts[i % 2], Stop);
            },
            Stop);
        do
        {
            Assert.Contains((await Store.ReadTextAsync("status.json", Stop))!.Text, texts);
        }
        while (!writer.IsCompleted);
        await writer;
    }

    [Fact]
    public async Task Two_readers_of_a_stream_get_it_whole_while_the_text_is_replaced_over_and_over()
    {
        string[] texts = [new string('a', 50_000), new string('b', 70_000)];
        await Store.ReplaceTextAsync("status.json", texts[0], Stop);
        var writer = Task.Run(
            async () =>
            {
                for (var i = 0; i < 50; i++)
                    await Store.ReplaceTextAsync("status.json", texts[i % 2], Stop);
            },
            Stop);
        await Task.WhenAll(ReadOnAsync(), ReadOnAsync());
        await writer;

        async Task ReadOnAsync()
        {
            do
            {
                Assert.Contains(await ReadAsync("status.json"), texts);
            }
            while (!writer.IsCompleted);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/etc/passwd")]
    [InlineData("..")]
    [InlineData("../outside")]
    [InlineData("sweeps/../../outside")]
    [InlineData("sweeps/./x")]
    [InlineData("sweeps//x")]
    [InlineData("sweeps/x/")]
    [InlineData("sweeps\\..\\x")]
    [InlineData("sweeps/..%2fx")]
    [InlineData("C:/x")]
    [InlineData("Sweeps/x")]
    [InlineData("sweeps/x\0.json")]
    [InlineData("sweeps/x\n")]
    [InlineData("sweeps/.hidden")]
    [InlineData("sweeps/-rf")]
    [InlineData("sweeps/x.")]
    [InlineData("~work/lock")]
    [InlineData("sweeps/é")]
    public async Task A_hostile_name_is_refused_by_every_operation(string name)
    {
        await Assert.ThrowsAsync<ArgumentException>(() => Store.ExistsAsync(name, Stop));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.OpenReadAsync(name, Stop));
        await Assert.ThrowsAsync<ArgumentException>(() => WriteAsync(name, "x"));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.ReadTextAsync(name, Stop));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.ReplaceTextAsync(name, "x", Stop));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.TryReplaceTextAsync(name, "x", null, Stop));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.DeleteAsync(name, Stop));
        if (!name.EndsWith('/') || name == "/")
            await Assert.ThrowsAsync<ArgumentException>(() => Store.DeletePrefixAsync(name, Stop));
        Assert.Empty(await NamesAsync(""));
    }

    [Fact]
    public async Task A_name_that_is_too_long_is_refused_and_the_longest_works()
    {
        var segment = new string('x', 99);
        var longest = string.Join('/', segment, segment, segment, segment + "y");
        Assert.Equal(400, longest.Length);
        Assert.True(await WriteAsync(longest, "x"));
        Assert.Equal([longest], await NamesAsync(segment));
        await Assert.ThrowsAsync<ArgumentException>(() => WriteAsync(longest[..^1] + "/z", "x"));
        await Assert.ThrowsAsync<ArgumentException>(() => WriteAsync(new string('x', 101), "x"));
    }

    /// <summary>Opens an empty store for one test.</summary>
    protected abstract Task<IArtifactStore> OpenEmptyAsync();

    /// <summary>Leaves what a process leaves that is killed while it writes this artifact.</summary>
    protected abstract Task LeaveHalfWrittenAsync(string name);

    /// <summary>Writes a text as an artifact, if absent.</summary>
    protected Task<bool> WriteAsync(string name, string text) =>
        Store.WriteIfAbsentAsync(name, (stream, stop) => stream.WriteAsync(Encoding.UTF8.GetBytes(text), stop).AsTask(), Stop);

    /// <summary>Reads an artifact as text.</summary>
    protected async Task<string> ReadAsync(string name)
    {
        using var reader = new StreamReader((await Store.OpenReadAsync(name, Stop))!);
        return await reader.ReadToEndAsync(Stop);
    }

    /// <summary>The listed names.</summary>
    protected async Task<IReadOnlyList<string>> NamesAsync(string prefix) =>
        [.. (await ListAsync(prefix)).Select(artifact => artifact.Name)];

    private async Task<List<ArtifactInfo>> ListAsync(string prefix) => await Store.ListAsync(prefix, Stop).ToListAsync(Stop);

    private static async Task WriteBytesAsync(Stream stream, byte value, int length, CancellationToken stop)
    {
        var part = new byte[Math.Min(length, 100_000)];
        Array.Fill(part, value);
        for (var written = 0; written < length; written += part.Length)
            await stream.WriteAsync(part, stop);
    }
}
