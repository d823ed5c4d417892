using Microsoft.DurableTask;

namespace HeadPatching.Functions.Orchestration;

/// <summary>
/// How many activities an orchestration has in the hub's queue at once: about as many as the hosts that there are run of it. The queue is
/// one for all sweeps, first in, first out, so what a large sweep had in it beyond that, every other sweep would wait behind.
/// The orchestrator does not see the hosts. It finds the number: one more after each activity that was run, and where a host turns one away
/// (<see cref="Served.TurnedAway"/>), no more for a while than are left. What decides is in the history, so a replay decides the same.
/// </summary>
internal sealed class ActivityWindow
{
    /// <summary>Enough for a second host to find work at the beginning.</summary>
    private const int AtFirst = 4;

    /// <summary>
    /// How long after an activity was turned away none is tried beyond those that run, and how long it waits itself where none is under way;
    /// twice as long each time that the next one is turned away, too. Of several hosts any may take the one that is tried, one with no place as well.
    /// </summary>
    private static readonly TimeSpan FirstStay = TimeSpan.FromSeconds(2), LongestStay = TimeSpan.FromSeconds(30);

    private readonly TaskOrchestrationContext _context;
    private readonly LinkedList<TaskCompletionSource> _waiting = [];
    private int _size = AtFirst;
    private int _underWay;
    private TimeSpan _stay = FirstStay;
    private bool _hasGrown; // since an activity was turned away
    private DateTime _growsFrom;

    public ActivityWindow(TaskOrchestrationContext context)
    {
        _context = context;
    }

    /// <summary>Runs an activity once there is room for it, again after each time that a host turned it away.</summary>
    /// <param name="schedule">Puts it into the queue.</param>
    public async Task<Served<T>> RunAsync<T>(Func<Task<Served<T>>> schedule)
    {
        for (bool again = false; ; again = true)
        {
            await EnterAsync(first: again);
            Served<T> served = await schedule(); // what fails here ends the sweep, so it makes no room for another one
            Leave(served.TurnedAway);
            if (!served.TurnedAway)
            {
                return served;
            }

            if (_underWay == 0)
            {
                await _context.CreateTimer(_growsFrom, CancellationToken.None);
            }
        }
    }

    private Task EnterAsync(bool first)
    {
        if (_underWay < _size)
        {
            _underWay++;
            return Task.CompletedTask;
        }

        var room = new TaskCompletionSource(); // goes on at once where it is given, on the orchestrator's own thread
        _ = first ? _waiting.AddFirst(room) : _waiting.AddLast(room);
        return room.Task;
    }

    private void Leave(bool turnedAway)
    {
        _underWay--;
        if (turnedAway)
        {
            _size = Math.Max(1, _underWay);
            _stay = !_hasGrown ? _stay : _stay * 2 < LongestStay ? _stay * 2 : LongestStay;
            _hasGrown = false;
            _growsFrom = _context.CurrentUtcDateTime + _stay;
            return;
        }

        if (_context.CurrentUtcDateTime >= _growsFrom && _waiting.Count > 0)
        {
            _stay = _hasGrown ? FirstStay : _stay; // the one tried before found its place
            _hasGrown = true;
            _size++;
        }

        while (_underWay < _size && _waiting.First is LinkedListNode<TaskCompletionSource> next)
        {
            _waiting.Remove(next);
            _underWay++;
            next.Value.SetResult();
        }
    }
}
