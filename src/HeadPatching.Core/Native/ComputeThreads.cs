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
            Want(threads);
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
            Want(-threads);
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

    /// <summary>Starts a thread whose operations libtorch computes on that thread alone, whatever it does on others.</summary>
    /// <param name="name">What debuggers call it.</param>
    /// <param name="run">What it does.</param>
    public static void StartAlone(string name, Action run)
    {
        int ofCaller = get_num_threads();
        using var started = new ManualResetEventSlim();
        new Thread(() =>
        {
            get_num_threads(); // a thread that libtorch meets for the first time gets what any thread said last, also after it has said 1 itself
            set_num_threads(1);
            started.Set();
            run();
        })
        {
            IsBackground = true,
            Name = name,
        }.Start();
        started.Wait();
        set_num_threads(ofCaller); // the last word, for threads that libtorch meets later
    }

    /// <summary>So many more are wanted: each call has its own, however many there are at once.</summary>
    private static void Want(int more)
    {
        lock (Gate)
        {
            for (_wanted += more; _threads < _wanted; _threads++)
            {
                StartAlone("Compute", Run);
            }
        }
    }

    private static void Run()
    {
        foreach (Action work in Waiting.GetConsumingEnumerable())
        {
            work();
        }
    }
}
