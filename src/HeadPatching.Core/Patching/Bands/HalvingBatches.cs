using System.Runtime.CompilerServices;
using HeadPatching.Core.Models;

namespace HeadPatching.Core.Patching.Bands;

/// <summary>What a batch may take of the memory, in bytes.</summary>
/// <param name="Held">What it holds from its beginning to its end.</param>
/// <param name="Step">What is computed at a time takes in addition.</param>
internal readonly record struct BatchMemory(long Held, long Step)
{
    /// <summary>No more than either.</summary>
    public BatchMemory Least(BatchMemory other) => new(Math.Min(Held, other.Held), Math.Min(Step, other.Step));
}

/// <summary>How a batch is cut.</summary>
/// <param name="Count">How much goes into it.</param>
/// <param name="Tile">How much of it is computed at a time.</param>
/// <param name="Takes">What it takes by count of its tensors.</param>
internal readonly record struct BatchCut(int Count, int Tile, BatchMemory Takes);

/// <summary>
/// Work in batches, the batch halved whenever the device runs out of memory. What fitted is remembered as long as the model is in memory,
/// in bytes, so that no later call of any shape, from any activity, runs out again. What a failed batch had allocated must be freed by the
/// time it throws: its dispose scopes are left. Everything that allocates belongs into the batch.
/// </summary>
internal static class HalvingBatches
{
    private static readonly ConditionalWeakTable<Transformer, Known> Fitting = [];

    /// <summary>Does all of it.</summary>
    /// <param name="model">The model whose runs they are.</param>
    /// <param name="count">How many there are to do.</param>
    /// <param name="memory">What a batch may take at most.</param>
    /// <param name="cut">Cuts a batch out of so many, into so much memory: at least one, computed one at a time, whatever that takes.</param>
    /// <param name="run">Does those from the first on, cut so.</param>
    /// <param name="tooLittle">What to throw where not even one at a time fits.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>What each batch gave, in order.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static List<T> Run<T>(
        Transformer model,
        int count,
        BatchMemory memory,
        Func<int, BatchMemory, BatchCut> cut,
        Func<int, BatchCut, T> run,
        Func<Exception, Exception> tooLittle,
        CancellationToken cancellation)
    {
        Known known = Fitting.GetOrCreateValue(model);
        var results = new List<T>();
        int first = 0;
        while (first < count)
        {
            cancellation.ThrowIfCancellationRequested();
            BatchCut batch = cut(count - first, memory.Least(known.Fits));
            try
            {
                results.Add(run(first, batch));
            }
            catch (Exception e) when (OutOfMemory.Is(e))
            {
                if (batch is { Count: 1, Tile: 1 })
                {
                    throw tooLittle(e);
                }

                known.Fits = known.Fits.Least(new BatchMemory(batch.Takes.Held / 2, batch.Takes.Step / 2));
                continue;
            }

            first += batch.Count;
        }

        return results;
    }

    /// <summary>What a model's device is known to hold; two activities may learn at once, and either's word is good.</summary>
    private sealed class Known
    {
        private readonly Lock _lock = new();
        private BatchMemory _fits = new(long.MaxValue, long.MaxValue);

        public BatchMemory Fits
        {
            get
            {
                lock (_lock)
                {
                    return _fits;
                }
            }

            set
            {
                lock (_lock)
                {
                    _fits = _fits.Least(value);
                }
            }
        }
    }
}
