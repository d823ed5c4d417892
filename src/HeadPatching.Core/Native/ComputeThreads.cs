using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace HeadPatching.Core.Native;

/// <summary>
/// Pieces of a computation that do not need each other, each computed by one thread from its beginning to its end. libtorch's own threads wait
/// for each other after every operation; these wait once, when there is no piece left.
/// </summary>
internal static class ComputeThreads
{
    private static readonly BlockingCollection<Action> Waiting = [];
    private static readonly Lock Gate = new();
    private static int _threads, _wanted;

    [ThreadStatic]
    private static int _said;

    /// <summary>How many pieces this thread's calls compute at once: as many as libtorch has threads for it, or more where <see cref="With"/> says so.</summary>
    public static int AtOnce => _said > 0 ? _said : get_num_threads();

    /// <summary>Does work whose calls compute so many pieces at once. A piece's numbers do not depend on it.</summary>
    public static T With<T>(int pieces, Func<T> work)
    {
        int before = _said;
        _said = pieces;
        try
        {
            return work();
        }
        finally
        {
            _said = before;
        }
    }

    /// <summary>Computes pieces 0 to <paramref name="count"/> - 1, in no order.</summary>
    /// <param name="count">How many there are.</param>
    /// <param name="compute">Computes one, in inference mode and a dispose scope of its own.</param>
    /// <exception cref="Exception">What a piece threw first; pieces that had not begun are left.</exception>
    public static void ForEach(int count, Action<int> compute)
    {
        int next = -1, threads = Math.Min(AtOnce, count);
        ExceptionDispatchInfo? failed = null;
        if (threads <= 1)
        {
            Compute();
        }
        else
        {
            Want(threads, get_num_threads());
            using var working = new CountdownEvent(threads);
            for (int thread = 0; thread < threads; thread++)
            {
                Waiting.Add(() =>
                {
                    Compute();
                    working.Signal();
                });
            }

            working.Wait();
            Want(-threads, get_num_threads());
        }

        failed?.Throw();

        void Compute()
        {
            try
            {
                using var mode = inference_mode();
                for (int piece = Interlocked.Increment(ref next); piece < count && failed is null; piece = Interlocked.Increment(ref next))
                {
                    using var scope = NewDisposeScope();
                    compute(piece);
                }
            }
            catch (Exception e)
            {
                failed ??= ExceptionDispatchInfo.Capture(e);
            }
        }
    }

    /// <summary>So many more are wanted: each call has its own, however many there are at once.</summary>
    private static void Want(int more, int ofCaller)
    {
        lock (Gate)
        {
            _wanted += more;
            if (_threads >= _wanted)
            {
                return;
            }

            using var started = new CountdownEvent(_wanted - _threads);
            for (; _threads < _wanted; _threads++)
            {
                new Thread(() => Run(started)) { IsBackground = true, Name = "Compute" }.Start();
            }

            started.Wait();
            set_num_threads(ofCaller); // what threads begin with that libtorch meets for the first time is what any thread said last
        }
    }

    private static void Run(CountdownEvent started)
    {
        set_num_threads(1);
        started.Signal();
        foreach (Action work in Waiting.GetConsumingEnumerable())
        {
            work();
        }
    }
}
