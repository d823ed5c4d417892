namespace HeadPatching.Sweeps.Engine;

/// <summary>
/// The places in which activities run, shared out among sweeps: a free one goes to the sweep with the fewest running activities, and of
/// those to the one that has had the least time. So a sweep of thousands of activities holds up none that comes after it. Beyond the places
/// there is one more, for a sweep that has only begun and has none: it need not wait until an activity of another ends.
/// </summary>
public sealed class FairSlots
{
    private static readonly TimeSpan Beginning = TimeSpan.FromSeconds(10); // of its activities' time together
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10); // a sweep of which nothing runs or waits

    private readonly int _slots;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Share> _shares = [];
    private int _taken;
    private bool _extraTaken;

    /// <summary>Makes the places.</summary>
    /// <param name="slots">How many activities run at once, but for the one more.</param>
    /// <param name="time">The clock.</param>
    public FairSlots(int slots, TimeProvider time)
    {
        _slots = slots;
        _time = time;

        // An activity that computes holds a thread of the pool, which has as many as there are cores and adds one every half second at the
        // most: at each step calls, and the activities of other sweeps, would wait for it.
        ThreadPool.GetMinThreads(out int threads, out int ports);
        ThreadPool.SetMinThreads(Math.Max(threads, Environment.ProcessorCount + slots + 1), ports);
    }

    /// <summary>Waits for a place for an activity of a sweep; dispose of it to give it back.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async Task<IDisposable> TakeAsync(string sweepId, CancellationToken cancellationToken) =>
        (await TakeAsync(sweepId, Timeout.InfiniteTimeSpan, cancellationToken))!;

    /// <summary>Waits for a place, but not for long where another activity of the same sweep has one.</summary>
    /// <param name="sweepId">The sweep.</param>
    /// <param name="patience">How long it waits beside another one of the sweep; one that is the sweep's only one waits until there is a place.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The place; null where there was none in time.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async Task<IDisposable?> TakeAsync(string sweepId, TimeSpan patience, CancellationToken cancellationToken)
    {
        var waiting = new TaskCompletionSource<IDisposable?>(TaskCreationOptions.RunContinuationsAsynchronously);
        Share share;
        lock (_gate)
        {
            Forget();
            if (!_shares.TryGetValue(sweepId, out share!))
            {
                _shares.Add(sweepId, share = new Share());
            }

            share.Waiting.AddLast(waiting);
            GiveOut();
        }

        await using (cancellationToken.Register(() => Leave(() => waiting.SetCanceled(cancellationToken), even: true)))
        {
            while (patience != Timeout.InfiniteTimeSpan && !waiting.Task.IsCompleted)
            {
                await Task.WhenAny(waiting.Task, Task.Delay(patience, _time, CancellationToken.None));
                Leave(() => waiting.SetResult(null), even: false);
            }

            return await waiting.Task;
        }

        // One that has its place already keeps it; so does one that is the sweep's only one, unless it is to leave even so.
        void Leave(Action end, bool even)
        {
            lock (_gate)
            {
                if ((share.Running == 0 && !even) || !share.Waiting.Remove(waiting))
                {
                    return;
                }
            }

            end();
        }
    }

    // Under the gate.
    private void GiveOut()
    {
        while (_taken < _slots && Next(share => true) is Share share)
        {
            _taken++;
            Start(share, extra: false);
        }

        if (!_extraTaken && _taken == _slots && Next(share => share.Running == 0 && share.Served < Beginning) is Share beginner)
        {
            _extraTaken = true;
            Start(beginner, extra: true);
        }
    }

    private Share? Next(Func<Share, bool> may) =>
        _shares.Values.Where(share => share.Waiting.Count > 0 && may(share)).MinBy(share => (share.Running, share.Served));

    private void Start(Share share, bool extra)
    {
        TaskCompletionSource<IDisposable?> waiting = share.Waiting.First!.Value;
        share.Waiting.RemoveFirst();
        share.Running++;
        waiting.SetResult(new Slot(this, share, extra));
    }

    private void GiveBack(Share share, bool extra, TimeSpan served)
    {
        lock (_gate)
        {
            share.Running--;
            share.Served += served;
            share.LastUsed = _time.GetTimestamp();
            if (extra)
            {
                _extraTaken = false;
            }
            else
            {
                _taken--;
            }

            GiveOut();
        }
    }

    private void Forget()
    {
        foreach ((string sweepId, Share share) in _shares)
        {
            if (share.Running == 0 && share.Waiting.Count == 0 && _time.GetElapsedTime(share.LastUsed) > Remembered)
            {
                _shares.Remove(sweepId);
            }
        }
    }

    /// <summary>What a sweep has of the places, and what of it waits.</summary>
    private sealed class Share
    {
        public LinkedList<TaskCompletionSource<IDisposable?>> Waiting { get; } = [];

        /// <summary>How many of its activities run.</summary>
        public int Running { get; set; }

        /// <summary>How long its activities ran, together.</summary>
        public TimeSpan Served { get; set; }

        /// <summary>When the last of them ended.</summary>
        public long LastUsed { get; set; }
    }

    private sealed class Slot : IDisposable
    {
        private readonly FairSlots _slots;
        private readonly Share _share;
        private readonly bool _extra;
        private readonly long _since;

        public Slot(FairSlots slots, Share share, bool extra)
        {
            _slots = slots;
            _share = share;
            _extra = extra;
            _since = slots._time.GetTimestamp();
        }

        public void Dispose() => _slots.GiveBack(_share, _extra, _slots._time.GetElapsedTime(_since));
    }
}
