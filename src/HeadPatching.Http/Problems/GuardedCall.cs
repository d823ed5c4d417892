using HeadPatching.Core.Faults;
using HeadPatching.Http.Requests;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Series;
using HeadPatching.Sweeps.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Http.Problems;

/// <summary>What goes wrong in a call, as its answer.</summary>
internal static class GuardedCall
{
    /// <summary>The Retry-After of what is soon another thing.</summary>
    public const string SecondsToNextLook = "1";

    private const string SecondsToStoresReturn = "10";
    private const string SecondsToShorterQueue = "30";

    /// <summary>Runs a call. What goes wrong is a problem+json answer; it throws but when the caller has gone.</summary>
    /// <param name="request">The request.</param>
    /// <param name="logger">Told what is the store's or the program's fault.</param>
    /// <param name="handle">Makes the answer; its token is cancelled when the caller goes.</param>
    public static async Task<IResult> RunAsync(HttpRequest request, ILogger logger, Func<CancellationToken, Task<IResult>> handle)
    {
        CancellationToken gone = request.HttpContext.RequestAborted;
        IHeaderDictionary headers = request.HttpContext.Response.Headers;
        try
        {
            return await handle(gone);
        }
        catch (RefusedRequestException e)
        {
            return Problem.InvalidRequest(e.Faults, e.Count);
        }
        catch (InvalidInputException e)
        {
            return Problem.InvalidRequest(e.Faults, e.Faults.Count);
        }
        catch (ModelUnavailableException e)
        {
            return Problem.ModelUnavailable(e.Message);
        }
        catch (PatternsBusyException e)
        {
            headers.RetryAfter = SecondsToNextLook;
            return Problem.TooManyPatterns(e.MostWaiting);
        }
        catch (BodyTooLargeException e)
        {
            headers.Connection = "close"; // what is left of the body is not read
            return Problem.BodyTooLarge(e.MostBytes);
        }
        catch (QueueFullException e)
        {
            headers.RetryAfter = SecondsToShorterQueue;
            return Problem.TooManySweeps(e.MostQueued);
        }
        catch (SeriesQueueFullException e)
        {
            headers.RetryAfter = SecondsToShorterQueue;
            return Problem.TooManySweeps(e);
        }
        catch (NoRoomForBodyException)
        {
            headers.RetryAfter = SecondsToNextLook;
            headers.Connection = "close"; // the body is not read
            return Problem.TooManyBodies();
        }
        catch (DamagedArtifactException e)
        {
            return Problem.Damaged(e.Message);
        }
        catch (BadHttpRequestException e)
        {
            return Problem.OfStatus(e.StatusCode);
        }
        catch (Exception e) when (StoreFaults.IsStoreFault(e, gone))
        {
            Log.StoreFailed(logger, e, request.Method, request.Path);
            headers.RetryAfter = SecondsToStoresReturn;
            return Problem.StoreUnavailable();
        }
        catch (Exception e) when (!gone.IsCancellationRequested)
        {
            Log.RequestFailed(logger, e, request.Method, request.Path);
            return Problem.OfStatus(StatusCodes.Status500InternalServerError);
        }
    }
}
