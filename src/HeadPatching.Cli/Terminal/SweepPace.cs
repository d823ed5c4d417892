using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Cli.Terminal;

/// <summary>
/// How far a sweep is and how long it still takes, by its patched runs, which are told batch by batch: activities end several at a time, seconds
/// apart, and by them the time left jumps. What the store had already counts as done and says nothing of the pace.
/// </summary>
/// <param name="patchedRuns">How many patched runs there are; 0 where all is estimated.</param>
/// <param name="time">The clock.</param>
public sealed class SweepPace(long patchedRuns, TimeProvider time)
{
    private const double LeastShare = 0.01; // before, a pace is a guess

    private readonly Lock _gate = new();
    private readonly long _created = time.GetTimestamp();
    private long? _started;                                                   // when the first work was begun
    private long _made;
    private double _estimated, _reused;                                       // shares of all chunks, of all runs

    /// <summary>The share that is done, 0 to 1.</summary>
    public double Done
    {
        get
        {
            lock (_gate)
            {
                return Math.Min(1, ShareMade + _reused);
            }
        }
    }

    /// <summary>Patched runs made here, a second.</summary>
    public double RunsASecond
    {
        get
        {
            lock (_gate)
            {
                return _made / Math.Max(1e-3, time.GetElapsedTime(_started ?? _created).TotalSeconds);
            }
        }
    }

    /// <summary>The time left; null where it cannot be told yet.</summary>
    public TimeSpan? Left
    {
        get
        {
            lock (_gate)
            {
                return _started is long started && ShareMade >= LeastShare
                    ? time.GetElapsedTime(started) * (Math.Max(0, 1 - ShareMade - _reused) / ShareMade)
                    : null;
            }
        }
    }

    // Where there are estimates only, their share; before patched runs they are a small part of the time.
    private double ShareMade => patchedRuns == 0 ? _estimated : (double)_made / patchedRuns;

    /// <summary>Tells how far the sweep is.</summary>
    public void At(SweepProgress progress)
    {
        lock (_gate)
        {
            if (progress.Phase != SweepPhase.Planning)
            {
                _started ??= time.GetTimestamp();
            }

            _estimated = progress.ChunksTotal == 0 ? 0 : (double)progress.ChunksEstimated / progress.ChunksTotal;
            _reused = patchedRuns == 0 || progress.TasksTotal == 0 ? 0 : (double)progress.TasksReused / progress.TasksTotal;
        }
    }

    /// <summary>Tells that so many patched runs were made.</summary>
    public void Made(long runs)
    {
        lock (_gate)
        {
            _made += runs;
        }
    }
}
