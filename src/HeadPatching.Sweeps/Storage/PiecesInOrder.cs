namespace HeadPatching.Sweeps.Storage;

/// <summary>
/// Brings something long by several requests at a time, for one alone is far from filling the line, and hands it on piece by piece in order. So what has
/// been handed on is always the beginning of it, from the end of which a later call goes on.
/// </summary>
public static class PiecesInOrder
{
    /// <summary>Requests that are under way at once.</summary>
    public const int AtOnce = 8;

    /// <summary>Brings bytes. Memory: <see cref="AtOnce"/> pieces.</summary>
    /// <param name="from">The first byte.</param>
    /// <param name="end">The first byte that is no more wanted.</param>
    /// <param name="pieceBytes">How many bytes a request brings.</param>
    /// <param name="fetch">Fills memory with the bytes from a place on.</param>
    /// <param name="append">Takes the next bytes; the memory is used again afterwards.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task CopyAsync(
        long from,
        long end,
        int pieceBytes,
        Func<long, Memory<byte>, CancellationToken, Task> fetch,
        Func<ReadOnlyMemory<byte>, CancellationToken, Task> append,
        CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var underWay = new Queue<(byte[] Buffer, int Length, Task Fetched)>();
        var free = new Stack<byte[]>();
        long next = from;
        try
        {
            while (next < end || underWay.Count > 0)
            {
                while (next < end && underWay.Count < AtOnce)
                {
                    byte[] buffer = free.Count > 0 ? free.Pop() : new byte[Math.Min(pieceBytes, end - from)];
                    int length = (int)Math.Min(buffer.Length, end - next);
                    underWay.Enqueue((buffer, length, fetch(next, buffer.AsMemory(0, length), stop.Token)));
                    next += length;
                }

                var first = underWay.Dequeue();
                await first.Fetched;
                await append(first.Buffer.AsMemory(0, first.Length), cancellationToken);
                free.Push(first.Buffer);
            }
        }
        finally
        {
            // What failed is thrown when nothing writes into memory any more.
            await stop.CancelAsync();
            await Task.WhenAll(underWay.Select(piece => piece.Fetched)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
