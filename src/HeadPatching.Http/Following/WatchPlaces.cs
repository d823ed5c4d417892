using HeadPatching.Http.Requests;

namespace HeadPatching.Http.Following;

/// <summary>How many calls follow a sweep at once, in all together: streams of events, and calls that wait for a change. They end when the host stops.</summary>
public sealed class WatchPlaces
{
    private readonly int _most;
    private int _taken;

    /// <summary>Makes the places of a host.</summary>
    /// <param name="limits">Says how many.</param>
    /// <param name="stopping">Cancelled when the host is to stop.</param>
    public WatchPlaces(RequestLimits limits, CancellationToken stopping)
    {
        _most = limits.Watchers;
        Stopping = stopping;
    }

    /// <summary>Cancelled when the host is to stop.</summary>
    public CancellationToken Stopping { get; }

    /// <summary>Takes a place; dispose of it to give it back. Null where all are taken.</summary>
    public IDisposable? TryTake()
    {
        if (Interlocked.Increment(ref _taken) <= _most)
        {
            return new Place(this);
        }

        Interlocked.Decrement(ref _taken);
        return null;
    }

    private sealed class Place(WatchPlaces places) : IDisposable
    {
        private int _given;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _given, 1) == 0)
            {
                Interlocked.Decrement(ref places._taken);
            }
        }
    }
}
