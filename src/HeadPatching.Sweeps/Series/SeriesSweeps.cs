using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Series;

/// <summary>
/// One sweep of several models, on whatever engine: as many ordinary sweeps, each as durable as any and with its runs found by content, and a small file that
/// says which they are.
/// </summary>
public sealed class SeriesSweeps
{
    private const int LooksAtOnce = 16;

    private readonly ISweepHost _host;
    private readonly TimeProvider _time;

    /// <summary>Makes the series of a host.</summary>
    public SeriesSweeps(ISweepHost host, TimeProvider time)
    {
        _host = host;
        _time = time;
    }

    /// <summary>
    /// Accepts a request and starts a sweep of each model. The series is stored last: where it is, all its sweeps have been; where this is cut
    /// short before, the same key comes to the same sweeps, and to those that were deleted, anew.
    /// </summary>
    /// <param name="request">What each model is to be swept by, its options checked.</param>
    /// <param name="models">The models' names, no two the same.</param>
    /// <param name="idempotencyKey">The caller's key, or null: then every request is a new series.</param>
    /// <param name="traceParent">The caller's trace context, or null.</param>
    /// <param name="cancellationToken">Ends the call, not the sweeps.</param>
    /// <returns>The series, and whether it is new, known or, under this key, another one.</returns>
    /// <exception cref="SeriesQueueFullException">As many sweeps wait as may; some of these may have been accepted.</exception>
    /// <exception cref="DamagedArtifactException">The key was seen before, and what it made cannot be read any more.</exception>
    public async Task<(SubmissionOutcome Outcome, StoredSeries Series)> SubmitAsync(
        SweepRequest request, IReadOnlyList<string> models, string? idempotencyKey, string? traceParent, CancellationToken cancellationToken = default)
    {
        string id = idempotencyKey is null ? SweepIds.New() : StoredSeries.IdOfKey(idempotencyKey);
        StoredSeries wanted = StoredSeries.Of(id, _time.GetUtcNow(), request, models);
        if (await _host.Store.ReadSeriesAsync(id, cancellationToken) is StoredSeries before && before.Content != wanted.Content)
        {
            return (SubmissionOutcome.Conflict, before);
        }

        foreach (var (index, model) in models.Index())
        {
            try
            {
                await _host.SubmitAsync(request with { Model = model }, wanted.KeyOf(model), traceParent, cancellationToken);
            }
            catch (QueueFullException e)
            {
                throw new SeriesQueueFullException(e.MostQueued, index, models.Count);
            }
        }

        if (await _host.Store.WriteJsonIfAbsentAsync(SweepArtifacts.SeriesOf(id), wanted, cancellationToken))
        {
            return (SubmissionOutcome.Accepted, wanted);
        }

        StoredSeries known = await _host.Store.ReadSeriesAsync(id, cancellationToken) ?? wanted; // it was deleted at this moment
        return (known.Content == wanted.Content ? SubmissionOutcome.Known : SubmissionOutcome.Conflict, known);
    }

    /// <summary>Where a series stands; null where there is no such series.</summary>
    /// <exception cref="DamagedArtifactException">There is one, and it cannot be read.</exception>
    public async Task<SeriesStatus?> FindAsync(string id, CancellationToken cancellationToken = default) =>
        await _host.Store.ReadSeriesAsync(id, cancellationToken) is StoredSeries series ? await StatusAsync(series, cancellationToken) : null;

    /// <summary>Where the sweeps of a series stand.</summary>
    public async Task<SeriesStatus> StatusAsync(StoredSeries series, CancellationToken cancellationToken = default)
    {
        var statuses = new SweepStatus?[series.Sweeps.Count];
        await ForEachAsync(statuses.Length, async (index, stop) => statuses[index] = await _host.FindAsync(series.Sweeps[index].SweepId, stop), cancellationToken);
        return new SeriesStatus(series, statuses);
    }

    /// <summary>The series, newest first, a page at a time. One that cannot be read is passed over.</summary>
    /// <param name="limit">The most of a page.</param>
    /// <param name="after">Where the page before ended (<see cref="SeriesPage.Next"/>); null for the first.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async Task<SeriesPage> ListAsync(int limit, string? after, CancellationToken cancellationToken = default)
    {
        ArtifactInfo[] all = [.. await _host.Store.ListAsync(SweepArtifacts.Series, cancellationToken).OrderByDescending(SeriesPage.PlaceOf, StringComparer.Ordinal).ToArrayAsync(cancellationToken)];
        ArtifactInfo[] left = [.. all.SkipWhile(file => after is not null && string.CompareOrdinal(SeriesPage.PlaceOf(file), after) >= 0)];
        ArtifactInfo[] page = left.Length > limit ? left[..limit] : left;
        if (page.Length == 0)
        {
            return new SeriesPage([], all.Length, null);
        }

        var read = new StoredSeries?[page.Length];
        await ForEachAsync(page.Length, async (index, stop) => read[index] = await _host.Store.ReadSeriesIfWholeAsync(SeriesPage.IdOf(page[index]), stop), cancellationToken);
        var sweeps = (await _host.ListAsync(cancellationToken: cancellationToken)).Sweeps.ToDictionary(status => status.Id);
        return new SeriesPage(
            [.. read.OfType<StoredSeries>().Select(series => new SeriesStatus(series, [.. series.Sweeps.Select(sweep => sweeps.GetValueOrDefault(sweep.SweepId))]))],
            all.Length,
            left.Length > limit ? SeriesPage.PlaceOf(page[^1]) : null);
    }

    /// <summary>Cancels the sweeps of a series that are under way, or deletes one that has ended, with its sweeps.</summary>
    public async Task<Removal> RemoveAsync(string id, CancellationToken cancellationToken = default)
    {
        SeriesStatus? status;
        try
        {
            status = await FindAsync(id, cancellationToken);
        }
        catch (DamagedArtifactException)
        {
            await _host.Store.DeleteAsync(SweepArtifacts.SeriesOf(id), cancellationToken); // which sweeps are its own is not known any more
            return Removal.Deleted;
        }

        if (status is null)
        {
            return Removal.Unknown;
        }

        bool ended = status.HasEnded;
        string[] going = [.. status.Sweeps.OfType<SweepStatus>().Where(sweep => ended || !sweep.HasEnded).Select(sweep => sweep.Id)];
        var removals = new Removal[going.Length];
        await ForEachAsync(going.Length, async (index, stop) => removals[index] = await _host.RemoveAsync(going[index], stop), cancellationToken);
        if (!ended || removals.Contains(Removal.Cancelling))
        {
            return Removal.Cancelling;
        }

        // Last, so that what is cut short is found again when the call is made again.
        await _host.Store.DeleteAsync(SweepArtifacts.SeriesOf(id), cancellationToken);
        return Removal.Deleted;
    }

    private static Task ForEachAsync(int count, Func<int, CancellationToken, Task> look, CancellationToken cancellationToken) => Parallel.ForEachAsync(
        Enumerable.Range(0, count),
        new ParallelOptions { MaxDegreeOfParallelism = LooksAtOnce, CancellationToken = cancellationToken },
        async (index, stop) => await look(index, stop));
}

/// <summary>As many sweeps wait for their turn as may, and not all of a series were accepted: those that were go on.</summary>
/// <param name="mostQueued">How many may wait.</param>
/// <param name="accepted">How many of the series' sweeps were accepted, now or before.</param>
/// <param name="models">Of how many.</param>
public sealed class SeriesQueueFullException(int mostQueued, int accepted, int models) : Exception($"{mostQueued} sweeps wait for their turn already.")
{
    /// <summary>How many may wait.</summary>
    public int MostQueued { get; } = mostQueued;

    /// <summary>How many of the series' sweeps were accepted, now or before.</summary>
    public int Accepted { get; } = accepted;

    /// <summary>Of how many.</summary>
    public int Models { get; } = models;
}
