using System.Globalization;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Engine;

/// <summary>What both hosts can do with sweeps; the HTTP handlers know no more of a host than this.</summary>
public interface ISweepHost
{
    /// <summary>Where the artifacts are.</summary>
    IArtifactStore Store { get; }

    /// <summary>Accepts a request and starts it.</summary>
    /// <param name="request">The request, its options checked.</param>
    /// <param name="idempotencyKey">The caller's key, or null: then every request is a new sweep.</param>
    /// <param name="traceParent">The caller's trace context, or null.</param>
    /// <param name="cancellationToken">Ends the call, not the sweep.</param>
    /// <exception cref="QueueFullException">As many sweeps wait as may, and this would be one more.</exception>
    /// <exception cref="DamagedArtifactException">The key was seen before, and the request that came with it cannot be read any more.</exception>
    Task<Submission> SubmitAsync(SweepRequest request, string? idempotencyKey, string? traceParent, CancellationToken cancellationToken = default);

    /// <summary>A sweep's status, or null where there is no such sweep.</summary>
    Task<SweepStatus?> FindAsync(string sweepId, CancellationToken cancellationToken = default);

    /// <summary>The sweeps, newest first, a page at a time.</summary>
    /// <param name="limit">The most of a page.</param>
    /// <param name="after">Where the page before ended (<see cref="SweepPage.Next"/>); null for the first.</param>
    /// <param name="filter">Which of them; null for all.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    Task<SweepPage> ListAsync(int limit = int.MaxValue, string? after = null, SweepFilter? filter = null, CancellationToken cancellationToken = default);

    /// <summary>Cancels a running sweep, or deletes the artifacts of one that has ended.</summary>
    Task<Removal> RemoveAsync(string sweepId, CancellationToken cancellationToken = default);
}

/// <summary>What became of a wish to be rid of a sweep.</summary>
public enum Removal
{
    /// <summary>There is no such sweep.</summary>
    Unknown,

    /// <summary>It was running and is being stopped; its finished layers stay.</summary>
    Cancelling,

    /// <summary>It had ended, and its artifacts are gone (cached activations stay for other sweeps).</summary>
    Deleted,
}

/// <summary>Which sweeps a list is to have.</summary>
/// <param name="States">Those that stand there; empty for wherever they stand.</param>
/// <param name="Model">Those of this model; null for every model's.</param>
/// <param name="Words">Those in whose id, name, model, dataset and title each of these stands, in whatever case.</param>
public sealed record SweepFilter(IReadOnlyCollection<SweepState> States, string? Model = null, IReadOnlyList<string>? Words = null)
{
    /// <summary>Whether a sweep is one of them.</summary>
    public bool Has(SweepStatus status) =>
        (States.Count == 0 || States.Contains(status.Status))
        && (Model is null || status.Model == Model)
        && (Words ?? []).All(word => ((string?[])[status.Id, status.Name, status.Model, status.Dataset, status.Title]).Any(text => text?.Contains(word, StringComparison.OrdinalIgnoreCase) == true));
}

/// <summary>A page of the list of sweeps.</summary>
/// <param name="Sweeps">Newest first.</param>
/// <param name="Total">How many sweeps there are on all pages.</param>
/// <param name="UnderWay">How many of those are queued or running.</param>
/// <param name="Next">Where this page ends, to ask for the next; null on the last.</param>
public sealed record SweepPage(IReadOnlyList<SweepStatus> Sweeps, int Total, int UnderWay, string? Next)
{
    /// <summary>Cuts a page out of all sweeps that are asked for. Sweeps that come or go meanwhile move nobody's place: a page begins after a sweep, not a number.</summary>
    public static SweepPage Of(IReadOnlyCollection<SweepStatus> sweeps, int limit, string? after, SweepFilter? filter)
    {
        SweepStatus[] all = [.. sweeps.Where(status => filter is null || filter.Has(status))];
        SweepStatus[] left =
        [
            .. all.OrderByDescending(PlaceOf, StringComparer.Ordinal).SkipWhile(status => after is not null && string.CompareOrdinal(PlaceOf(status), after) >= 0),
        ];
        return new SweepPage(
            left.Length > limit ? left[..limit] : left, all.Length, all.Count(status => !status.HasEnded), left.Length > limit ? PlaceOf(left[limit - 1]) : null);
    }

    /// <summary>Whether a text can be a <see cref="Next"/>.</summary>
    public static bool IsPlace(string text) => text.Length == 42 && text[16] == '-' && text[..16].All(char.IsAsciiHexDigitLower) && SweepIds.IsValid(text[17..]);

    private static string PlaceOf(SweepStatus status) => string.Create(CultureInfo.InvariantCulture, $"{status.CreatedAt.UtcTicks:x16}-{status.Id}");
}
