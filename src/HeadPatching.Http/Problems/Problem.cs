using System.Diagnostics;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;
using HeadPatching.Http.Answers;
using HeadPatching.Http.Requests;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Series;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Problems;

/// <summary>The application/problem+json answers (RFC 9457).</summary>
internal static class Problem
{
    public static IResult InvalidRequest(IReadOnlyList<Fault> faults, int count) => Of(
        StatusCodes.Status400BadRequest,
        ProblemTypes.InvalidRequest,
        "The request cannot be swept.",
        count > faults.Count ? $"There are {count} faults; the first {faults.Count} are listed." : "Each fault is listed with its JSON path.",
        faults);

    public static IResult UnknownSweep() =>
        Of(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep, "There is no such sweep.", "GET /api/sweeps lists those that there are.");

    /// <summary>One of two.</summary>
    public static IResult UnknownSweep(string id) =>
        Of(StatusCodes.Status404NotFound, ProblemTypes.UnknownSweep, "There is no such sweep.", $"It is {id}. GET /api/sweeps lists those that there are.");

    public static IResult NoCircuit() => Of(
        StatusCodes.Status404NotFound, ProblemTypes.NoCircuit, "The sweep has no circuit.", "It was not asked for one: post its request again with \"circuit\": \"heads\"; what was run of it is found again.");

    public static IResult NoEdges() => Of(
        StatusCodes.Status404NotFound, ProblemTypes.NoEdges, "The sweep has no edges.", "It was not asked for them: post its request again with \"edges\": \"exact\"; what was run of it is found again.");

    public static IResult UnknownSeries() =>
        Of(StatusCodes.Status404NotFound, ProblemTypes.UnknownSeries, "There is no such series.", "GET /api/series lists those that there are.");

    /// <summary>A series of which not every sweep is completed.</summary>
    public static IResult NoResult(SeriesStatus status)
    {
        int models = status.Series.Sweeps.Count;
        if (!status.HasEnded)
        {
            return Of(
                StatusCodes.Status409Conflict,
                ProblemTypes.SweepNotCompleted,
                "The series has no result yet.",
                $"{status.Completed} of its {models} sweeps are completed; ask again when its status is completed.");
        }

        string without = string.Join(", ", status.Series.Sweeps.Zip(status.Sweeps)
            .Where(pair => pair.Second?.Status != SweepState.Completed)
            .Select(pair => $"{pair.First.Model} ({pair.Second?.Status.NameOf() ?? "deleted"})")
            .Take(5));
        return Of(
            StatusCodes.Status409Conflict,
            status.State switch { SweepState.Failed => ProblemTypes.SweepFailed, SweepState.Cancelled => ProblemTypes.SweepCancelled, _ => ProblemTypes.SweepDamaged },
            "The series has no result, for not every sweep of it has one.",
            $"Without: {without}{(models - status.Completed > 5 ? " and others" : "")}. Post it again without those models: what the others ran is stored and is not run again.");
    }

    public static IResult NotOfOneShape(IReadOnlyList<Fault> faults) => Of(
        StatusCodes.Status409Conflict, ProblemTypes.SweepFailed, "The series has no result, for its models are not of one shape.", faults[0].Message, faults);

    public static IResult CannotCompare(IReadOnlyList<Fault> faults) => Of(
        StatusCodes.Status400BadRequest, ProblemTypes.InvalidRequest, "The two sweeps cannot be compared.", faults[0].Message, faults);

    public static IResult IdempotencyConflict(string id, string what = "sweep") => Of(
        StatusCodes.Status409Conflict,
        ProblemTypes.IdempotencyConflict,
        "The Idempotency-Key was used before with another body.",
        $"It made {what} {id}. Send the same body again to get that {what}, or another key for a new one.");

    public static IResult NoResult(SweepStatus status) => status.Status switch
    {
        SweepState.Failed => Of(
            StatusCodes.Status409Conflict,
            ProblemTypes.SweepFailed,
            "The sweep failed and has no result.",
            SweepAnswer.FirstLine(status.Error?.Message ?? "Its status says no more."),
            status.Error?.Faults),
        SweepState.Cancelled => Of(
            StatusCodes.Status409Conflict, ProblemTypes.SweepCancelled, "The sweep was cancelled and has no result.", "Post it again to have it swept."),
        SweepState.Damaged => Damaged(status.Error?.Message ?? "Its status says no more."),
        _ => Of(
            StatusCodes.Status409Conflict,
            ProblemTypes.SweepNotCompleted,
            "The sweep has no result yet.",
            $"It is {status.Status.ToString().ToLowerInvariant()}; ask again when its status is completed."),
    };

    public static IResult Damaged(string which) => Of(
        StatusCodes.Status409Conflict, ProblemTypes.SweepDamaged, "The sweep is damaged.", $"{which} DELETE removes the sweep; then post it again.");

    public static IResult TooManySweeps(int mostQueued) => Of(
        StatusCodes.Status429TooManyRequests,
        ProblemTypes.TooManySweeps,
        "Too many sweeps wait for their turn.",
        $"{mostQueued} may wait at once. Nothing was stored; try again when some have run.");

    public static IResult TooManySweeps(SeriesQueueFullException full) => Of(
        StatusCodes.Status429TooManyRequests,
        ProblemTypes.TooManySweeps,
        "Too many sweeps wait for their turn.",
        $"{full.MostQueued} may wait at once. {full.Accepted} of the {full.Models} sweeps were accepted and go on; post the same with the same Idempotency-Key when some have run, and the others will be.");

    public static IResult ModelUnavailable(string why) => Of(
        StatusCodes.Status409Conflict, ProblemTypes.ModelUnavailable, "The sweep's model is not there any more.", $"{why} The sweep's results are as they were.");

    public static IResult TooManyPatterns(int mostWaiting) => Of(
        StatusCodes.Status429TooManyRequests,
        ProblemTypes.TooManyPatterns,
        "Too many ask for patterns.",
        $"{mostWaiting} may wait at once, for one is computed at a time. Try again in a moment.");

    public static IResult TooManyBodies() => Of(
        StatusCodes.Status429TooManyRequests, ProblemTypes.TooManyBodies, "Too many bodies are being read.", "Nothing was stored; try again in a moment.");

    public static IResult TooManyWatchers(int most) => Of(
        StatusCodes.Status429TooManyRequests,
        ProblemTypes.TooManyWatchers,
        "Too many calls follow sweeps.",
        $"{most} may at once. Ask for the sweep's status now and then, or try again later.");

    public static IResult BodyTooLarge(int mostBytes) => Of(
        StatusCodes.Status413PayloadTooLarge, ProblemTypes.BodyTooLarge, "The body is too large.", $"At most {mostBytes} bytes are read. Split it over several calls.");

    public static IResult StoreUnavailable() => Of(
        StatusCodes.Status503ServiceUnavailable,
        ProblemTypes.StoreUnavailable,
        "The artifact store cannot be reached.",
        "Nothing is lost; try again later. The server's log says what the store answered.");

    /// <summary>An answer about which nothing more is known than its status.</summary>
    public static IResult OfStatus(int status) => status switch
    {
        StatusCodes.Status404NotFound => Of(status, ProblemTypes.UnknownRoute, "There is nothing at this path.", "GET /api/openapi.json lists the paths."),
        StatusCodes.Status405MethodNotAllowed => Of(
            status, ProblemTypes.MethodNotAllowed, "The path does not know this method.", "The header Allow lists those that it knows."),
        StatusCodes.Status413PayloadTooLarge => Of(status, ProblemTypes.BodyTooLarge, "The body is too large.", "Split the pairs over several sweeps."),
        StatusCodes.Status415UnsupportedMediaType => Of(
            status, ProblemTypes.UnsupportedMediaType, "The body is not JSON.", "Send the request as application/json, in UTF-8, not compressed."),
        >= StatusCodes.Status500InternalServerError => Of(
            status, ProblemTypes.Internal, "The server failed.", $"The server's log says why, under the trace id {Activity.Current?.TraceId}."),
        _ => Of(status, ProblemTypes.MalformedHttp, "The request cannot be read.", "It is not the HTTP that this server understands, or came too slowly."),
    };

    public static IResult Of(int status, string type, string title, string detail, IReadOnlyList<Fault>? faults = null) => Results.Problem(
        detail: detail,
        statusCode: status,
        title: title,
        type: type,
        extensions: faults is null or []
            ? null
            : new Dictionary<string, object?> { ["errors"] = faults.Take(FaultList.Listed).Select(FaultAnswer.Of).ToArray() });
}
