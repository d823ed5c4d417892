using System.Text.Json;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Sweeps.Callbacks;

/// <summary>
/// The callbacks that are still to be sent. Each is a small mark in the store, written before the sweep's request and taken away when the callback has
/// arrived or was tried for long enough: whatever process dies, the next one goes on. A callback arrives at least once.
/// </summary>
public sealed class CallbackDeliveries
{
    /// <summary>How often a callback is tried: for about half a day.</summary>
    public const int MostAttempts = 18;

    private const int AtOnce = 8;
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(5), LongestWait = TimeSpan.FromHours(1);
    private static readonly TimeSpan RequestTakesAtMost = TimeSpan.FromMinutes(10);

    private readonly IArtifactStore _store;
    private readonly CallbackSender? _sender;
    private readonly TimeProvider _time;
    private readonly ILogger<CallbackDeliveries> _logger;

    /// <summary>Makes the deliveries of a store.</summary>
    /// <param name="store">The store.</param>
    /// <param name="sender">Sends them; null where this host sends none.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Where it says what arrived and what did not.</param>
    public CallbackDeliveries(IArtifactStore store, CallbackSender? sender, TimeProvider time, ILogger<CallbackDeliveries> logger)
    {
        _store = store;
        _sender = sender;
        _time = time;
        _logger = logger;
    }

    /// <summary>Whether this host sends callbacks.</summary>
    public bool Sends => _sender is not null;

    /// <summary>Marks that a callback is to be sent when a sweep has ended.</summary>
    internal static Task MarkAsync(IArtifactStore store, string sweepId, CancellationToken cancellationToken) =>
        store.WriteJsonIfAbsentAsync(SweepArtifacts.Callback(sweepId), new Mark(0, DateTimeOffset.MinValue), cancellationToken);

    /// <summary>Sends every callback whose sweep has ended and whose time has come. What another host is at is left to it.</summary>
    /// <param name="find">A sweep's status.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async Task DeliverDueAsync(Func<string, CancellationToken, Task<SweepStatus?>> find, CancellationToken cancellationToken = default) =>
        await Parallel.ForEachAsync(
            _store.ListAsync(SweepArtifacts.Callbacks, cancellationToken),
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken },
            async (artifact, stop) =>
            {
                string sweepId = artifact.Name.Split('/')[^1];
                if (await _store.ReadTextAsync(artifact.Name, stop) is not StoredText text || Parse(text) is not { } mark || mark.NextAt > _time.GetUtcNow())
                {
                    return;
                }

                SweepStatus? status = await find(sweepId, stop);
                if (status is null && _time.GetUtcNow() - artifact.LastModified > RequestTakesAtMost)
                {
                    await _store.DeleteAsync(artifact.Name, stop); // whoever posted it died before it was stored, or it was deleted
                }
                else if (status is { HasEnded: true } && await ClaimAsync(artifact.Name, text, mark, WaitAfter(mark.Attempts + 1), stop))
                {
                    await TryAsync(status, mark.Attempts + 1, stop);
                }
            });

    /// <summary>Sends the callback of one sweep that has ended, where it has one that was not sent yet.</summary>
    /// <param name="sweepId">The sweep.</param>
    /// <param name="state">How it ended.</param>
    /// <param name="leftTo">How long others leave it to this caller, who comes again.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="CallbackFailedException">It did not arrive.</exception>
    public async Task DeliverAsync(string sweepId, SweepState state, TimeSpan leftTo, CancellationToken cancellationToken = default)
    {
        string name = SweepArtifacts.Callback(sweepId);
        if (await _store.ReadTextAsync(name, cancellationToken) is not StoredText text || Parse(text) is not { } mark
            || await _store.ReadRequestAsync(sweepId, cancellationToken) is not StoredRequest request)
        {
            return;
        }

        await ClaimAsync(name, text, mark, leftTo, cancellationToken);
        SweepStatus status = SweepStatus.Queued(request) with
        {
            Status = state,
            FinishedAt = _time.GetUtcNow(),
            Error = state == SweepState.Failed ? await _store.ReadJsonAsync<SweepError>(SweepArtifacts.Error(sweepId), cancellationToken) : null,
        };
        if (await TryAsync(status, mark.Attempts + 1, cancellationToken) is string failure)
        {
            throw new CallbackFailedException(failure);
        }
    }

    /// <returns>Why it did not arrive and is to be tried again; null otherwise.</returns>
    private async Task<string?> TryAsync(SweepStatus status, int attempt, CancellationToken cancellationToken)
    {
        string? failure;
        try
        {
            string? url = (await _store.ReadRequestAsync(status.Id, cancellationToken))?.Request.Callback;
            failure = url is null ? null : _sender is null ? "this host sends no callbacks" : await _sender.SendAsync(url, status, cancellationToken);
        }
        catch (DamagedArtifactException e)
        {
            Log.CallbackGivenUp(_logger, status.Id, attempt, e.Message);
            failure = null;
        }

        if (failure is null)
        {
            Log.CallbackDone(_logger, status.Id, attempt);
        }
        else if (attempt < MostAttempts)
        {
            Log.CallbackFailed(_logger, status.Id, attempt, failure);
            return failure;
        }
        else
        {
            Log.CallbackGivenUp(_logger, status.Id, attempt, failure);
        }

        await _store.DeleteAsync(SweepArtifacts.Callback(status.Id), cancellationToken);
        return null;
    }

    private Task<bool> ClaimAsync(string name, StoredText text, Mark mark, TimeSpan wait, CancellationToken cancellationToken) =>
        _store.TryReplaceTextAsync(name, JsonSerializer.Serialize(new Mark(mark.Attempts + 1, _time.GetUtcNow() + wait), ResultJson.Compact), text.ETag, cancellationToken);

    private static TimeSpan WaitAfter(int attempts)
    {
        TimeSpan wait = FirstWait * Math.Pow(3, Math.Min(attempts - 1, 10));
        return wait < LongestWait ? wait : LongestWait;
    }

    /// <summary>A mark; one that cannot be read counts as new, and so comes to an end.</summary>
    private static Mark Parse(StoredText text)
    {
        try
        {
            return StoredJson.Parse<Mark>("mark", text.Text);
        }
        catch (DamagedArtifactException)
        {
            return new Mark(0, DateTimeOffset.MinValue);
        }
    }

    /// <summary>What lies in the store of a callback that is to be sent; where to stands in the request.</summary>
    /// <param name="Attempts">How often it was tried.</param>
    /// <param name="NextAt">When it is to be tried next.</param>
    private sealed record Mark(int Attempts, DateTimeOffset NextAt);
}

/// <summary>A callback did not arrive; worth another try.</summary>
/// <param name="reason">Why.</param>
public sealed class CallbackFailedException(string reason) : Exception($"The callback did not arrive: {reason}.");

/// <summary>What is said of callbacks.</summary>
internal static partial class Log
{
    [LoggerMessage(20, LogLevel.Information, "The callback of sweep {SweepId} is done with, at attempt {Attempt}")]
    public static partial void CallbackDone(ILogger logger, string sweepId, int attempt);

    [LoggerMessage(21, LogLevel.Warning, "The callback of sweep {SweepId} did not arrive, attempt {Attempt}: {Reason}")]
    public static partial void CallbackFailed(ILogger logger, string sweepId, int attempt, string reason);

    [LoggerMessage(22, LogLevel.Error, "The callback of sweep {SweepId} is given up after attempt {Attempt}: {Reason}")]
    public static partial void CallbackGivenUp(ILogger logger, string sweepId, int attempt, string reason);
}
