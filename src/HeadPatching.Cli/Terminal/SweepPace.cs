using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Cli.Terminal;

/// <summary>
/// How far a sweep is and how long it still takes, by the operations that its plan counted: activities tell each layer that they cache and
/// each batch that they patch, and a patch in an early layer is many times the work of one in a late layer. What the store had already counts
/// as done and says nothing of the pace.
/// </summary>
/// <param name="flops">The operations of the whole sweep.</param>
/// <param name="time">The clock.</param>
public sealed class SweepPace(double flops, TimeProvider time)
{
    private const double LeastShare = 0.01; // before, a pace is a guess

    private readonly Lock _gate = new();
    private readonly long _created = time.GetTimestamp();
    private long? _started, _told;                                            // when the first work was begun, and when some was last told of
    private double _made, _found;                                             // operations
    private double _tasks, _tasksBefore;                                      // shares of all runs: now, and when they were first told
    private long _runs;

    /// <summary>The share that is done, 0 to 1.</summary>
    public double Done
    {
        get
        {
            lock (_gate)
            {
                return Share;
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
                return _runs / Math.Max(1e-3, time.GetElapsedTime(_started ?? _created).TotalSeconds);
            }
        }
    }

    /// <summary>The time left; null where it cannot be told yet. It runs down between two steps, which on a large model are seconds apart.</summary>
    public TimeSpan? Left
    {
        get
        {
            lock (_gate)
            {
                if (_started is not long started || _told is not long told || ShareMade < LeastShare)
                {
                    return null;
                }

                TimeSpan left = (time.GetElapsedTime(started, told) * ((1 - Share) / ShareMade)) - time.GetElapsedTime(told);
                return left > TimeSpan.Zero ? left : TimeSpan.Zero;
            }
        }
    }

    /// <summary>Whether so little is done that a bar would stand still.</summary>
    public bool IsAtStart => Done < LeastShare;

    // Of a sweep that another process runs, only the status says something.
    private bool IsElsewhere => _made + _found == 0;

    private double Share => Math.Min(1, IsElsewhere ? _tasks : (_made + _found) / Math.Max(1, flops));

    private double ShareMade => IsElsewhere ? _tasks - _tasksBefore : _made / Math.Max(1, flops);

    /// <summary>Tells how far the sweep is.</summary>
    public void At(SweepProgress progress)
    {
        lock (_gate)
        {
            double before = _tasks;
            _tasks = progress.TasksTotal > 0 ? (double)progress.TasksDone / progress.TasksTotal
                : progress.ChunksTotal > 0 ? (double)progress.ChunksEstimated / progress.ChunksTotal
                : 0;
            if (_started is null && progress.Phase != SweepPhase.Planning)
            {
                _started = time.GetTimestamp();
                _tasksBefore = _tasks;
            }

            _told = IsElsewhere && _tasks > before ? time.GetTimestamp() : _told;
        }
    }

    /// <summary>Tells of a step of its work.</summary>
    public void Made(WorkStep step)
    {
        lock (_gate)
        {
            _made += step.Found ? 0 : step.Flops;
            _found += step.Found ? step.Flops : 0;
            _runs += step.PatchedRuns;
            _told = step.Found ? _told : time.GetTimestamp();
        }
    }
}
