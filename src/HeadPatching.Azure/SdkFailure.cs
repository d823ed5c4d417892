using System.Net.Sockets;
using Azure;
using Azure.Identity;
using Azure.Storage.Blobs.Models;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Azure;

/// <summary>What the SDK throws, said in the store's way, so that nobody else needs to know the SDK.</summary>
internal static class SdkFailure
{
    /// <summary>What to throw in its place; null where it is none of the service's: a wrong name, or the caller's own cancellation.</summary>
    /// <param name="exception">What the SDK threw.</param>
    /// <param name="store">The container's address, without any key.</param>
    /// <param name="artifact">What was asked for.</param>
    /// <param name="callersOwn">The token of the caller.</param>
    public static Exception? Translate(Exception exception, string store, string artifact, CancellationToken callersOwn) => exception switch
    {
        StoreUnavailableException => null,

        // The SDK gathers all its own tries in one, the one that the caller cancelled among them.
        AggregateException when callersOwn.IsCancellationRequested => new OperationCanceledException(exception.Message, exception, callersOwn),
        OperationCanceledException when callersOwn.IsCancellationRequested => null,
        _ when IsOfTheService(exception) => new StoreUnavailableException(store, artifact, Reason(exception), MayPass(exception), exception),
        _ => null,
    };

    /// <summary>What happened, as the rest of a sentence. It repeats no key and no signature.</summary>
    public static string Reason(Exception exception) => exception switch
    {
        // One of its tries says what the network said.
        AggregateException tries => Reason(tries.InnerExceptions[^1]),
        AuthenticationFailedException => "no Azure credential of this machine was accepted",
        RequestFailedException { Status: not 0 } failed => $"the service answered {failed.Status} {failed.ErrorCode}".TrimEnd(),
        _ => $"it cannot be reached: {exception.GetBaseException().Message.Split('\n')[0].Trim()}",
    };

    // A cancellation that is not the caller's: the SDK gave a request up for taking too long.
    private static bool IsOfTheService(Exception exception) => exception is
        RequestFailedException or AuthenticationFailedException or AggregateException or OperationCanceledException
        or IOException or HttpRequestException or SocketException or TimeoutException;

    private static bool MayPass(Exception exception) => exception switch
    {
        AggregateException tries => tries.InnerExceptions.All(one => IsOfTheService(one) && MayPass(one)),

        // No answer; too late, too often; changed or swept away by another's write meanwhile; the service's own failure.
        RequestFailedException failed => failed.Status is 0 or 408 or 409 or 412 or 429 or >= 500 || failed.ErrorCode == BlobErrorCode.InvalidBlockList,
        CredentialUnavailableException => false,
        _ => true,
    };
}
