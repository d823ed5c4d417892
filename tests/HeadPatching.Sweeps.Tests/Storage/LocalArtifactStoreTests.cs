using System.Diagnostics;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Sweeps.Tests.Storage;

public sealed class LocalArtifactStoreTests : ArtifactStoreTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("headpatching-").FullName;

    private string WorkFolder => Path.Combine(_folder, "~work");

    public override ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return base.DisposeAsync();
    }

    [Fact]
    public async Task Two_stores_on_one_folder_agree_who_was_first()
    {
        IArtifactStore[] stores = [Store, new LocalArtifactStore(_folder)];
        for (var round = 0; round < 20; round++)
        {
            var name = $"round/{round}";
            var won = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => Task.Run(
                () => stores[i % 2].WriteIfAbsentAsync(name, (stream, stop) => stream.WriteAsync(new byte[i], stop).AsTask(), Stop),
                Stop)));
            Assert.Single(won, w => w);
        }
    }

    [Fact]
    public async Task Nothing_stays_in_the_work_folder_but_the_lock()
    {
        await WriteAsync("a/b", "x");
        await WriteAsync("a/b", "y");
        await Store.ReplaceTextAsync("a/c", "x", Stop);
        await Store.TryReplaceTextAsync("a/c", "y", "another", Stop);
        await Store.DeletePrefixAsync("a", Stop);
        Assert.Equal(["lock"], Directory.EnumerateFileSystemEntries(WorkFolder).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_killed_process_leaves_its_lock_to_the_next_and_its_files_for_a_day()
    {
        await File.WriteAllTextAsync(Path.Combine(WorkFolder, "lock"), "", Stop);
        var half = Path.Combine(WorkFolder, "0123456789abcdef.tmp");
        await File.WriteAllTextAsync(half, "half", Stop);

        Assert.True(await new LocalArtifactStore(_folder).TryReplaceTextAsync("keys/k", "x", null, Stop));
        Assert.True(File.Exists(half));

        File.SetLastWriteTimeUtc(half, DateTime.UtcNow.AddDays(-2));
        _ = new LocalArtifactStore(_folder);
        Assert.False(File.Exists(half));
    }

    [Fact]
    public async Task What_a_dead_process_left_goes_at_the_next_start_and_what_a_living_one_writes_stays()
    {
        using var dead = Process.Start("sleep", "0");
        var ended = ProcessIdentity.Current with { Id = dead.Id, Started = 1 };
        await dead.WaitForExitAsync(Stop);
        string Left(ProcessIdentity writer) => Path.Combine(WorkFolder, $"{writer}.{Guid.NewGuid():n}.tmp");
        string file = Left(ended), folder = Left(ended), living = Left(ProcessIdentity.Current), elsewhere = Left(ended with { Table = "0123456789ab" });
        string reused = Left(ProcessIdentity.Current with { Started = ProcessIdentity.Current.Started - 1 }); // the id was another process's before
        foreach (var path in (string[])[file, living, elsewhere, reused])
            await File.WriteAllTextAsync(path, "half", Stop);
        Directory.CreateDirectory(Path.Combine(folder, "layers"));

        _ = new LocalArtifactStore(_folder);
        Assert.Equal(
            ((string[])[living, elsewhere]).Order(), Directory.EnumerateFileSystemEntries(WorkFolder).Where(entry => Path.GetFileName(entry) != "lock").Order());
    }

    [Fact]
    public void A_process_is_known_by_its_text_and_seen_to_live()
    {
        Assert.Equal(ProcessIdentity.Current, ProcessIdentity.Parse(ProcessIdentity.Current.ToString()));
        Assert.False(ProcessIdentity.Current.HasEnded());
        Assert.True((ProcessIdentity.Current with { Id = int.MaxValue }).HasEnded());
        Assert.False((ProcessIdentity.Current with { Table = "another", Id = int.MaxValue }).HasEnded());
        Assert.All((string?[])[null, "", "a-b-c", "a-1", "a-1-2-3", "a--1-2"], text => Assert.Null(ProcessIdentity.Parse(text)));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_a_fault_that_names_it()
    {
        var file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "");
        var fault = Assert.Single(
            Assert.Throws<InvalidInputException>(() => new LocalArtifactStore(Path.Combine(file, "store"), "--store")).Faults);
        Assert.Equal((FaultKinds.CannotWrite, "--store"), (fault.Kind, fault.Where));
        Assert.Contains(file, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_can_no_longer_be_written_fails_its_check_with_a_fault()
    {
        Directory.Delete(WorkFolder, recursive: true);
        await File.WriteAllTextAsync(WorkFolder, "", Stop);
        var exception = await Assert.ThrowsAsync<InvalidInputException>(() => Store.CheckAsync(Stop));
        Assert.Equal(FaultKinds.CannotWrite, Assert.Single(exception.Faults).Kind);
    }

    [Fact]
    public async Task A_folder_that_is_away_fails_every_change_in_the_stores_way_and_may_come_back()
    {
        Directory.Delete(_folder, recursive: true);
        await File.WriteAllTextAsync(_folder, "", Stop); // nothing can be made below a file
        try
        {
            Func<Task>[] calls =
            [
                () => WriteAsync("a/b", "x"),
                () => Store.WriteDerivedAsync("a/b", (stream, stop) => stream.WriteAsync(new byte[1], stop).AsTask(), Stop),
                () => Store.ReplaceTextAsync("a/b", "x", Stop),
                () => Store.TryReplaceTextAsync("a/b", "x", null, Stop),
                () => Store.DeletePrefixAsync("a/b", Stop),
            ];
            foreach (var call in calls)
            {
                var failure = await Assert.ThrowsAsync<StoreUnavailableException>(call);
                Assert.Equal((_folder, "a/b", true), (failure.Store, failure.Artifact, failure.MayPass));
                Assert.IsType<IOException>(failure.InnerException, exactMatch: false);
            }
        }
        finally
        {
            File.Delete(_folder);
            Directory.CreateDirectory(_folder);
        }
    }

    [Fact]
    public async Task A_stream_fails_in_the_stores_way_and_what_is_not_the_stores_leaves_as_it_is()
    {
        var full = new IOException("No space left on device");
        await using var stream = new StoreStream(
            new FailingStream(full), (e, _) => e is IOException ? new StoreUnavailableException("store", "a", e.Message, mayPass: true, e) : null);
        Action[] calls = [() => stream.ReadExactly(new byte[1]), () => stream.Write([1]), stream.Flush];
        Func<Task>[] asynchronous = [() => stream.ReadExactlyAsync(new byte[1], Stop).AsTask(), () => stream.WriteAsync(new byte[1], Stop).AsTask(), () => stream.FlushAsync(Stop)];
        foreach (var call in calls)
            Assert.Same(full, Assert.Throws<StoreUnavailableException>(call).InnerException);
        foreach (var call in asynchronous)
            Assert.Same(full, (await Assert.ThrowsAsync<StoreUnavailableException>(call)).InnerException);

        await using var mistaken = new StoreStream(new MemoryStream([], writable: false), (_, _) => null);
        Assert.Throws<NotSupportedException>(() => mistaken.Write([1]));
    }

    protected override Task<IArtifactStore> OpenEmptyAsync() => Task.FromResult<IArtifactStore>(new LocalArtifactStore(_folder));

    protected override async Task LeaveHalfWrittenAsync(string name)
    {
        // A writer that never comes to its end leaves on disk what a killed one does.
        var written = new TaskCompletionSource();
        _ = Store.WriteIfAbsentAsync(
            name,
            async (stream, stop) =>
            {
                await stream.WriteAsync(new byte[1000], stop);
                await stream.FlushAsync(stop);
                written.SetResult();
                await new TaskCompletionSource().Task;
            },
            Stop);
        await written.Task;
    }

    private sealed class FailingStream(IOException failure) : MemoryStream
    {
        public override int Read(Span<byte> buffer) => throw failure;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => throw failure;

        public override void Write(ReadOnlySpan<byte> buffer) => throw failure;

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => throw failure;

        public override void Flush() => throw failure;

        public override Task FlushAsync(CancellationToken cancellationToken) => throw failure;
    }
}
