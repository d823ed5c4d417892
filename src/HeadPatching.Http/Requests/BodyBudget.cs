using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Requests;

/// <summary>
/// How many bytes of bodies are in memory at once, in all requests together: a body is read, checked and stored within its part of the budget, and
/// what comes meanwhile waits its turn.
/// </summary>
public sealed class BodyBudget : IDisposable
{
    private const int Unit = 64 << 10;
    private const int LargeBytes = 1 << 20;
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    private readonly ConcurrencyLimiter _limiter;
    private readonly int _mostBodyBytes;

    /// <summary>Makes the budget of a host.</summary>
    public BodyBudget(RequestLimits limits)
    {
        _mostBodyBytes = limits.BodyBytes;
        _limiter = new ConcurrencyLimiter(new ConcurrencyLimiterOptions
        {
            PermitLimit = Permits(Math.Max(limits.BodiesBytes, limits.BodyBytes)),
            QueueLimit = int.MaxValue, // connections are bounded
            QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
        });
    }

    /// <summary>Waits until there is room for a request's body; dispose of it when the body is done with.</summary>
    /// <exception cref="NoRoomForBodyException">There was none for too long.</exception>
    internal async Task<IDisposable> TakeAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(LongestWait);
        try
        {
            // A body that does not say how large it is may become as large as any.
            long bytes = Math.Min(request.ContentLength ?? _mostBodyBytes, _mostBodyBytes);
            RateLimitLease lease = await _limiter.AcquireAsync(Permits(bytes), patience.Token);
            if (!lease.IsAcquired)
            {
                throw new NoRoomForBodyException();
            }

            // A large body becomes many times its bytes in objects, which the collector would let lie long after they were stored: what the last
            // one left is given back before the next is read, or the budget would bound what is used and not what is taken.
            if (bytes >= LargeBytes)
            {
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            }

            return lease;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new NoRoomForBodyException();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _limiter.Dispose();

    private static int Permits(long bytes) => (int)((bytes + Unit) / Unit);
}

/// <summary>A request is refused with 429: other bodies fill the memory that there is for them.</summary>
internal sealed class NoRoomForBodyException : Exception;
