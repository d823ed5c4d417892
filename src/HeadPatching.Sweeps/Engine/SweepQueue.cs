namespace HeadPatching.Sweeps.Engine;

/// <summary>The sweeps that wait for their turn here, oldest first: their ids alone, since all else is in the store.</summary>
internal sealed class SweepQueue
{
    private readonly Lock _gate = new();
    private readonly SortedSet<(DateTimeOffset CreatedAt, string Id)> _waiting = [];
    private readonly Dictionary<string, DateTimeOffset> _places = [];

    /// <summary>How many wait.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _places.Count;
            }
        }
    }

    /// <summary>Adds a sweep, where it does not wait yet.</summary>
    public bool Add(string sweepId, DateTimeOffset createdAt)
    {
        lock (_gate)
        {
            return _places.TryAdd(sweepId, createdAt) && _waiting.Add((createdAt, sweepId));
        }
    }

    /// <summary>Takes the oldest; null where none waits.</summary>
    public string? Take()
    {
        lock (_gate)
        {
            if (_waiting.Count == 0)
            {
                return null;
            }

            var oldest = _waiting.Min;
            _waiting.Remove(oldest);
            _places.Remove(oldest.Id);
            return oldest.Id;
        }
    }

    /// <summary>Takes a sweep out, wherever it stands.</summary>
    public void Remove(string sweepId)
    {
        lock (_gate)
        {
            if (_places.Remove(sweepId, out DateTimeOffset createdAt))
            {
                _waiting.Remove((createdAt, sweepId));
            }
        }
    }
}
