namespace HeadPatching.Http.Problems;

/// <summary>Which exceptions mean that the artifact store, or the disk that models are read from, failed even after its own retries.</summary>
internal static class StoreFaults
{
    /// <summary>Whether this is one (a <see cref="Sweeps.Storage.StoreUnavailableException"/> is an <see cref="IOException"/>). What the caller's own cancellation throws is not.</summary>
    public static bool IsStoreFault(Exception exception, CancellationToken callersOwn) => exception switch
    {
        OperationCanceledException => !callersOwn.IsCancellationRequested,
        _ => exception is IOException or UnauthorizedAccessException or TimeoutException,
    };
}
