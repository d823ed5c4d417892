namespace HeadPatching.Core.Patching;

/// <summary>
/// Work in batches, the batch halved whenever the device runs out of memory. How much fits is remembered, so the next call does not run
/// out again. What a failed batch had allocated must be freed by the time it throws: its dispose scopes are left.
/// </summary>
internal sealed class HalvingBatches
{
    private int _fits = int.MaxValue;

    /// <summary>Does all of it.</summary>
    /// <param name="count">How many there are to do.</param>
    /// <param name="most">The most that go into one batch.</param>
    /// <param name="run">Does those from the first on, so many of them.</param>
    /// <param name="done">Told after each batch how many it had.</param>
    /// <param name="tooLittle">What to throw where not even one at a time fits.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>What each batch gave, in order.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public List<T> Run<T>(
        int count, int most, Func<int, int, T> run, Action<int>? done, Func<Exception, Exception> tooLittle, CancellationToken cancellation)
    {
        var results = new List<T>();
        int first = 0;
        while (first < count)
        {
            cancellation.ThrowIfCancellationRequested();
            int batch = Math.Min(Math.Min(most, _fits), count - first);
            try
            {
                results.Add(run(first, batch));
            }
            catch (Exception e) when (OutOfMemory.Is(e))
            {
                _fits = batch > 1 ? batch / 2 : throw tooLittle(e);
                continue;
            }

            first += batch;
            done?.Invoke(batch);
        }

        return results;
    }
}
