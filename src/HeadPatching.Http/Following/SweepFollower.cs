using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text;
using HeadPatching.Http.Answers;
using HeadPatching.Http.Problems;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Http.Following;

/// <summary>A sweep's status as a caller sees it at a moment.</summary>
/// <param name="Status">The status.</param>
/// <param name="Answer">The answer.</param>
internal sealed record SweepView(SweepStatus Status, TaggedJson Answer);

/// <summary>Follows one sweep for a caller: by looking now and then, which costs nothing of a sweep that runs here, and of another a call or two of the store.</summary>
internal sealed class SweepFollower
{
    /// <summary>The header by which a browser goes on with a stream.</summary>
    public const string LastEventHeader = "Last-Event-ID";

    /// <summary>The kind of event that carries a status.</summary>
    public const string StatusEvent = "status";

    /// <summary>The kind of event that says that the sweep was deleted.</summary>
    public const string GoneEvent = "gone";

    /// <summary>The kind of event that only keeps the connection open.</summary>
    public const string HeartbeatEvent = "heartbeat";

    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(300), RemoteLookInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan HeartbeatInterval = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan LongestStream = TimeSpan.FromSeconds(200); // shorter than load balancers wait; the client asks again by itself

    private readonly ISweepHost _host;
    private readonly SweepDigests _digests;
    private readonly string _sweepId;
    private readonly string _pathBase;

    public SweepFollower(ISweepHost host, SweepDigests digests, string sweepId, string pathBase)
    {
        _host = host;
        _digests = digests;
        _sweepId = sweepId;
        _pathBase = pathBase;
    }

    /// <summary>Where it stands now; null where there is no such sweep.</summary>
    public async Task<SweepView?> LookAsync(CancellationToken cancellationToken) =>
        await _host.FindAsync(_sweepId, cancellationToken) is SweepStatus status
            ? new SweepView(status, TaggedJson.Of(SweepAnswer.Of(status, await _digests.FindAsync(status, cancellationToken), _pathBase)))
            : null;

    /// <summary>Waits until it stands elsewhere than it was seen to, or has ended.</summary>
    /// <returns>Where it stands then, or after the patience; null where it was deleted.</returns>
    public async Task<SweepView?> WaitAsync(SweepView seen, TimeSpan patience, CancellationToken cancellationToken)
    {
        DateTimeOffset until = TimeProvider.System.GetUtcNow() + patience;
        SweepView? now = seen;
        while (now is { Status.HasEnded: false } && now.Answer.Id == seen.Answer.Id && TimeProvider.System.GetUtcNow() < until)
        {
            await Task.Delay(_host.Store.IsRemote ? RemoteLookInterval : LookInterval, cancellationToken);
            now = await LookAsync(cancellationToken);
        }

        return now;
    }

    /// <summary>The status now and each time that it changes, to the last one. A store that fails ends the stream; the client asks again by itself.</summary>
    /// <param name="first">Where it stands now.</param>
    /// <param name="knownId">The id of the last event that the client has had; null for none.</param>
    /// <param name="cancellationToken">Ends the stream.</param>
    public async IAsyncEnumerable<SseItem<string>> EventsAsync(SweepView first, string? knownId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        DateTimeOffset until = TimeProvider.System.GetUtcNow() + LongestStream;
        SweepView now = first;
        if (now.Answer.Id != knownId)
        {
            yield return Event(now);
        }

        while (!now.Status.HasEnded && TimeProvider.System.GetUtcNow() < until)
        {
            var (ended, next) = await NextAsync(now, cancellationToken);
            if (ended)
            {
                yield break;
            }

            if (next is null)
            {
                yield return new SseItem<string>("{}", GoneEvent);
                yield break;
            }

            yield return next.Answer.Id == now.Answer.Id ? new SseItem<string>("", HeartbeatEvent) : Event(next);
            now = next;
        }
    }

    private async Task<(bool Ended, SweepView? Next)> NextAsync(SweepView now, CancellationToken cancellationToken)
    {
        try
        {
            return (false, await WaitAsync(now, HeartbeatInterval, cancellationToken));
        }
        catch (Exception e) when (e is OperationCanceledException or DamagedArtifactException || StoreFaults.IsStoreFault(e, cancellationToken))
        {
            return (true, null);
        }
    }

    private static SseItem<string> Event(SweepView view) => new(Encoding.UTF8.GetString(view.Answer.Utf8), StatusEvent) { EventId = view.Answer.Id };
}
