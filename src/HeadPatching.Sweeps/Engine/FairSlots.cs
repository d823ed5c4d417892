namespace HeadPatching.Sweeps.Engine;

/// <summary>
/// The places in which activities run, shared out among sweeps: a free one goes to the sweep with the fewest running activities, and of
/// those to the one that has had the least time. So a sweep of thousands of activities holds up none that comes after it. Beyond the places
/// there is one more, for a sweep that has only begun and has none: it need not wait until an activity of another ends.
/// </summary>
internal sealed class FairSlots
{
    private static readonly TimeSpan Beginning = TimeSpan.FromSeconds(10); // of its activities' time together

    private readonly int _slots;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly List<Share> _shares = [];
    private int _taken;
    private bool _extraTaken;

    public FairSlots(int slots, TimeProvider time)
    {
        _slots = slots;
        _time = time;
    }

    /// <summary>Makes the share of a sweep; dispose of it when the sweep ends.</summary>
    public Share Join()
    {
        var share = new Share(this);
        lock (_gate)
        {
            _shares.Add(share);
        }

        return share;
    }

    // Under the gate.
    private void GiveOut()
    {
        while (_taken < _slots && Next(share => true) is Share share)
        {
            _taken++;
            share.Start(extra: false);
        }

        if (!_extraTaken && _taken == _slots && Next(share => share.Running == 0 && share.Served < Beginning) is Share beginner)
        {
            _extraTaken = true;
            beginner.Start(extra: true);
        }
    }

    private Share? Next(Func<Share, bool> may) =>
        _shares.Where(share => share.HasWaiting && may(share)).MinBy(share => (share.Running, share.Served));

    private void GiveBack(Share share, bool extra, TimeSpan served)
    {
        lock (_gate)
        {
            share.Running--;
            share.Served += served;
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

    /// <summary>A sweep's share of the places.</summary>
    public sealed class Share : IDisposable
    {
        private readonly FairSlots _slots;
        private readonly LinkedList<TaskCompletionSource<Slot>> _waiting = [];

        internal Share(FairSlots slots) => _slots = slots;

        /// <summary>How many of its activities run.</summary>
        internal int Running { get; set; }

        /// <summary>How long its activities ran, together.</summary>
        internal TimeSpan Served { get; set; }

        internal bool HasWaiting => _waiting.Count > 0;

        /// <summary>Waits for a place; dispose of it to give it back.</summary>
        /// <exception cref="OperationCanceledException">The sweep ends: its waiting activities go at once.</exception>
        public async Task<IDisposable> TakeAsync(CancellationToken cancellationToken)
        {
            var place = new TaskCompletionSource<Slot>(TaskCreationOptions.RunContinuationsAsynchronously);
            LinkedListNode<TaskCompletionSource<Slot>> node;
            lock (_slots._gate)
            {
                node = _waiting.AddLast(place);
                _slots.GiveOut();
            }

            await using (cancellationToken.Register(() => GiveUp(node, cancellationToken)))
            {
                return await place.Task;
            }
        }

        /// <summary>The sweep has ended.</summary>
        public void Dispose()
        {
            lock (_slots._gate)
            {
                _slots._shares.Remove(this);
            }
        }

        internal void Start(bool extra)
        {
            TaskCompletionSource<Slot> place = _waiting.First!.Value;
            _waiting.RemoveFirst();
            Running++;
            place.SetResult(new Slot(this, extra, _slots._time));
        }

        internal void GiveBack(bool extra, TimeSpan served) => _slots.GiveBack(this, extra, served);

        private void GiveUp(LinkedListNode<TaskCompletionSource<Slot>> node, CancellationToken cancellationToken)
        {
            lock (_slots._gate)
            {
                if (node.List is null)
                {
                    return; // it has its place already
                }

                _waiting.Remove(node);
            }

            node.Value.SetCanceled(cancellationToken);
        }
    }

    private sealed class Slot : IDisposable
    {
        private readonly Share _share;
        private readonly bool _extra;
        private readonly TimeProvider _time;
        private readonly long _since;

        public Slot(Share share, bool extra, TimeProvider time)
        {
            _share = share;
            _extra = extra;
            _time = time;
            _since = time.GetTimestamp();
        }

        public void Dispose() => _share.GiveBack(_extra, _time.GetElapsedTime(_since));
    }
}
