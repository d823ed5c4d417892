using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using TorchSharp;

namespace HeadPatching.Core.Native;

/// <summary>
/// Independent pieces of one computation, each computed by one thread from its beginning to its end. libtorch's own threads wait for each other
/// after every operation, which for matrices that fit into the cache is a fifth of the time; these wait once, at the end.
/// </summary>
internal static class ComputeThreads
{
    private static readonly BlockingCollection<Action> Waiting = [];
    private static readonly Lock Gate = new();
    private static int _threads;

    /// <summary>Computes pieces 0 to <paramref name="count"/> - 1, as many at once as libtorch's threads of the caller.</summary>
    /// <param name="count">How many there are.</param>
    /// <param name="compute">Computes one, in inference mode and in a dispose scope of its own.</param>
    public static void ForEach(int count, Action<int> compute)
    {
        int threads = torch.get_num_threads(), next = -1;
        ExceptionDispatchInfo? failed = null;
        if (threads == 1 || count == 1)
        {
            for (int piece = 0; piece < count; piece++)
            {
                using var scope = torch.NewDisposeScope();
                compute(piece);
            }

            return;
        }

        Start(threads);
        using var left = new CountdownEvent(Math.Min(threads, count));
        for (int thread = 0; thread < left.InitialCount; thread++)
        {
            Waiting.Add(Work);
        }

        left.Wait();
        failed?.Throw();

        void Work()
        {
            try
            {
                using var mode = torch.inference_mode();
                for (int piece = Interlocked.Increment(ref next); piece < count && failed is null; piece = Interlocked.Increment(ref next))
                {
                    using var scope = torch.NewDisposeScope();
                    compute(piece);
                }
            }
            catch (Exception e)
            {
                failed = ExceptionDispatchInfo.Capture(e);
            }
            finally
            {
                left.Signal();
            }
        }
    }

    /// <summary>Sees to it that there are so many threads.</summary>
    private static void Start(int threads)
    {
        lock (Gate)
        {
            if (_threads >= threads)
            {
                return;
            }

            using var started = new CountdownEvent(threads - _threads);
            for (; _threads < threads; _threads++)
            {
                new Thread(() =>
                {
                    torch.set_num_threads(1);
                    started.Signal();
                    foreach (Action work in Waiting.GetConsumingEnumerable())
                    {
                        work();
                    }
                })
                { IsBackground = true, Name = "compute" }.Start();
            }

            started.Wait();
            torch.set_num_threads(threads); // what threads that come later begin with
        }
    }
}
