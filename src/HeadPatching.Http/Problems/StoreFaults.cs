using Azure;
using Azure.Identity;

namespace HeadPatching.Http.Problems;

/// <summary>Which exceptions mean that the artifact store failed even after its own retries.</summary>
internal static class StoreFaults
{
    /// <summary>Whether this is one. What the caller's own cancellation throws is not.</summary>
    public static bool IsStoreFault(Exception exception, CancellationToken callersOwn) => exception switch
    {
        OperationCanceledException => !callersOwn.IsCancellationRequested,
        AggregateException { InnerException: { } inner } => IsStoreFault(inner, callersOwn),
        _ => exception is IOException or UnauthorizedAccessException or TimeoutException or RequestFailedException or AuthenticationFailedException,
    };
}
