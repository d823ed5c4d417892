using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Series;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Sweeps.Tests.Series;

/// <summary>Series on the embedded engine: what a full queue and a crash leave, cancelling, and what pruning takes.</summary>
public sealed class SeriesSweepsTests : IDisposable
{
    private static readonly SweepRequest Small = new()
    {
        Pairs = [new PromptPair(Prompt.Of([1, 2, 3]), Prompt.Of([1, 4, 3]), Answer.Of(5), Answer.Of(6))],
    };

    private readonly TemporaryFolder _folder = new();
    private readonly LocalArtifactStore _store;

    public SeriesSweepsTests()
    {
        foreach (string name in Models)
        {
            RandomModelFolder.Write(_folder[$"models/{name}"], layers: 2, heads: 2, width: 16, vocabulary: 40, context: 16, seed: name[0]);
        }

        _store = new LocalArtifactStore(_folder["store"]);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static string[] Models => ["a", "b", "c"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Where_the_queue_is_full_the_same_key_adds_the_sweeps_that_were_not_accepted()
    {
        await using (InProcessEngine full = Engine(new EngineOptions { Parallelism = 1, SweepsAtOnce = 1, MostQueued = 0 }))
        {
            var refused = await Assert.ThrowsAsync<SeriesQueueFullException>(() => new SeriesSweeps(full, TimeProvider.System).SubmitAsync(Small, Models, "key", null, Stop));
            Assert.Equal((0, 3), (refused.Accepted, refused.Models));
        }

        Assert.Empty(await _store.ListAsync("", Stop).ToListAsync(Stop));

        // As a process leaves it that ends before the series is written.
        StoredSeries wanted = StoredSeries.Of(StoredSeries.IdOfKey("key"), DateTimeOffset.UtcNow, Small, Models);
        await using InProcessEngine engine = Engine(new EngineOptions { Parallelism = 1 });
        await engine.SubmitAsync(Small with { Model = "a" }, wanted.KeyOf("a"), null, Stop);
        var series = new SeriesSweeps(engine, TimeProvider.System);
        Assert.Null(await series.FindAsync(wanted.Id, Stop));
        var (outcome, stored) = await series.SubmitAsync(Small, Models, "key", null, Stop);
        Assert.Equal((SubmissionOutcome.Accepted, wanted.Id), (outcome, stored.Id));
        SeriesStatus status = await EndAsync(series, stored.Id);
        Assert.Equal((SweepState.Completed, 3), (status.State, status.Completed));
        Assert.Equal(3, (await engine.ListAsync(cancellationToken: Stop)).Total);
        Assert.Equal(SubmissionOutcome.Known, (await series.SubmitAsync(Small, Models, "key", null, Stop)).Outcome);
        Assert.Equal(SubmissionOutcome.Conflict, (await series.SubmitAsync(Small with { Patch = Patch.Q }, Models, "key", null, Stop)).Outcome);
        Assert.Equal(3, (await engine.ListAsync(cancellationToken: Stop)).Total);
    }

    [Fact]
    public async Task Models_of_the_same_weights_that_are_swept_at_the_same_time_make_each_run_once()
    {
        string[] same = ["same-1", "same-2", "same-3"];
        foreach (string name in same)
        {
            RandomModelFolder.Write(_folder[$"models/{name}"], layers: 2, heads: 4, width: 32, vocabulary: 60, context: 16, seed: 7);
        }

        SweepRequest request = new()
        {
            Pairs = [.. Enumerable.Range(0, 60).Select(i => new PromptPair(Prompt.Of([i % 50, 2, 3, i % 7]), Prompt.Of([i % 50, 4, 3, i % 7]), Answer.Of(5), Answer.Of(6)))],
        };
        await using InProcessEngine engine = Engine(new EngineOptions { Parallelism = 3, SweepsAtOnce = 3 });
        var series = new SeriesSweeps(engine, TimeProvider.System);
        SeriesStatus status = await EndAsync(series, (await series.SubmitAsync(request, same, null, null, Stop)).Series.Id);
        Assert.Equal(3, status.Completed);
        Assert.Equal(60 * 2 * 4, status.Sweeps.Sum(sweep => sweep!.Progress.PatchedRuns));
        Assert.Equal(2 * status.Sweeps[0]!.Progress.TasksTotal, status.Sweeps.Sum(sweep => sweep!.Progress.TasksReused));
    }

    [Fact]
    public async Task Removing_a_series_that_is_under_way_cancels_what_has_not_ended_and_keeps_the_rest()
    {
        await using var waiting = Engine(new EngineOptions { Parallelism = 1, SweepsAtOnce = 1 });
        var series = new SeriesSweeps(waiting, TimeProvider.System);
        string id = (await series.SubmitAsync(Small, Models, null, null, Stop)).Series.Id;
        await EndAsync(series, id);
        SeriesStatus ended = (await series.FindAsync(id, Stop))!;
        await waiting.RemoveAsync(ended.Series.Sweeps[2].SweepId, Stop);

        // A sweep that was asked for and has not begun: the engine that would run it takes up none.
        var held = new StoredRequest(ended.Series.Sweeps[2].SweepId, DateTimeOffset.UtcNow, Small with { Model = "c" });
        await _store.WriteJsonIfAbsentAsync(SweepArtifacts.Request(held.SweepId), held, Stop);
        Assert.Equal(SweepState.Running, (await series.FindAsync(id, Stop))!.State);
        Assert.Equal(Removal.Cancelling, await series.RemoveAsync(id, Stop));
        SeriesStatus cancelled = await EndAsync(series, id);
        Assert.Equal((SweepState.Cancelled, 2), (cancelled.State, cancelled.Completed));
        Assert.Equal(Removal.Deleted, await series.RemoveAsync(id, Stop));
        Assert.Equal(Removal.Unknown, await series.RemoveAsync(id, Stop));
        Assert.Equal(0, (await waiting.ListAsync(cancellationToken: Stop)).Total);
    }

    [Fact]
    public async Task Pruning_takes_an_old_series_of_which_no_sweep_is_left_and_deleting_one_that_cannot_be_read()
    {
        await using InProcessEngine engine = Engine(new EngineOptions { Parallelism = 1 });
        var series = new SeriesSweeps(engine, TimeProvider.System);
        string kept = (await series.SubmitAsync(Small, Models, null, null, Stop)).Series.Id, left = (await series.SubmitAsync(Small with { Patch = Patch.K }, Models, null, null, Stop)).Series.Id;
        await EndAsync(series, kept);
        foreach (SeriesSweep sweep in (await EndAsync(series, left)).Series.Sweeps)
        {
            await engine.RemoveAsync(sweep.SweepId, Stop);
        }

        Assert.Empty(await UnusedAsync(DateTimeOffset.UnixEpoch));
        Assert.Equal([SweepArtifacts.SeriesOf(left)], await UnusedAsync(DateTimeOffset.MaxValue));

        await File.WriteAllTextAsync(Path.Combine(_folder["store"], SweepArtifacts.SeriesOf(kept)), "{", Stop);
        await Assert.ThrowsAsync<DamagedArtifactException>(() => series.FindAsync(kept, Stop));
        Assert.Equal([left], (await series.ListAsync(10, null, Stop)).Series.Select(one => one.Series.Id));
        Assert.Equal(Removal.Deleted, await series.RemoveAsync(kept, Stop));
        Assert.Null(await series.FindAsync(kept, Stop));

        async Task<IEnumerable<string>> UnusedAsync(DateTimeOffset olderThan) =>
            (await StorePruning.UnusedAsync(_store, new StoredPlans(_store, new ModelCatalog(_folder["models"])), olderThan, Stop))
                .Select(artifact => artifact.Name).Where(name => name.StartsWith("series/", StringComparison.Ordinal));
    }

    private InProcessEngine Engine(EngineOptions options) => new(_store, new ModelCatalog(_folder["models"]), reports: [], options);

    private static async Task<SeriesStatus> EndAsync(SeriesSweeps series, string id)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (true)
        {
            SeriesStatus status = (await series.FindAsync(id, Stop))!;
            if (status.HasEnded)
            {
                return status;
            }

            await Task.Delay(50, patience.Token);
        }
    }
}
