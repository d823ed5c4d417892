using System.Collections.Concurrent;
using System.Text.Json;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Engine.Stored;

/// <summary>
/// Who runs a sweep: one engine at a time, by an artifact that only one can take (compare and set) and that its holder changes every few
/// seconds. A lease is free when it was given back, when its process is seen to have ended, or when it has stood still for long enough by
/// the clock of whoever looks; no two machines' clocks are compared.
/// </summary>
internal sealed class SweepLeases
{
    private readonly IArtifactStore _store;
    private readonly TimeSpan _duration;
    private readonly TimeProvider _time;
    private readonly SweepOwner _self = SweepOwner.New();
    private readonly ConcurrentDictionary<string, (string ETag, long Since)> _seen = new(); // others' leases, since when they stand as they do

    /// <summary>Makes the leases of an engine.</summary>
    public SweepLeases(IArtifactStore store, TimeSpan duration, TimeProvider time)
    {
        _store = store;
        _duration = duration;
        _time = time;
    }

    /// <summary>The engine that runs a sweep, as far as can be seen; null where it is free.</summary>
    public async Task<SweepOwner?> OwnerAsync(string sweepId, CancellationToken cancellationToken = default) =>
        Owner(sweepId, await _store.ReadTextAsync(SweepArtifacts.Lease(sweepId), cancellationToken));

    /// <summary>Takes a sweep that is free.</summary>
    /// <returns>The lease; null where another has it.</returns>
    public async Task<SweepLease?> TryTakeAsync(string sweepId, CancellationToken cancellationToken = default)
    {
        string name = SweepArtifacts.Lease(sweepId);
        StoredText? text = await _store.ReadTextAsync(name, cancellationToken);
        if (Owner(sweepId, text) is not null)
        {
            return null;
        }

        var lease = new SweepLease(_store, name, _self);
        return await _store.TryReplaceTextAsync(name, lease.Text, text?.ETag, cancellationToken) ? lease : null;
    }

    /// <summary>Forgets what it saw of sweeps that are no more.</summary>
    public void KeepOnly(IReadOnlySet<string> sweepIds)
    {
        foreach (string gone in _seen.Keys.Where(id => !sweepIds.Contains(id)))
        {
            _seen.TryRemove(gone, out _);
        }
    }

    private SweepOwner? Owner(string sweepId, StoredText? text)
    {
        SweepOwner? owner = text is null || text.Text.Length == 0 ? null : SweepLease.OwnerIn(text.Text);
        if (text is null || owner is null || owner.Engine == _self.Engine || ProcessIdentity.Parse(owner.Process)?.HasEnded() == true)
        {
            _seen.TryRemove(sweepId, out _);
            return null;
        }

        long now = _time.GetTimestamp();
        var (_, since) = _seen.AddOrUpdate(sweepId, (text.ETag, now), (_, known) => known.ETag == text.ETag ? known : (text.ETag, now));
        return _time.GetElapsedTime(since) < _duration ? owner : null;
    }
}

/// <summary>A lease that this engine holds.</summary>
internal sealed class SweepLease
{
    private readonly IArtifactStore _store;
    private readonly string _name;
    private readonly SweepOwner _owner;
    private readonly Guid _lease = Guid.NewGuid();
    private long _renewals;

    public SweepLease(IArtifactStore store, string name, SweepOwner owner)
    {
        _store = store;
        _name = name;
        _owner = owner;
    }

    /// <summary>What it is in the store.</summary>
    public string Text => JsonSerializer.Serialize(new Content(_owner, _lease, _renewals), ResultJson.Compact);

    /// <summary>The owner that a lease names; null where it names none or cannot be read, and so belongs to nobody.</summary>
    public static SweepOwner? OwnerIn(string text) => Read(text)?.Owner is { Engine: not null } owner ? owner : null;

    /// <summary>Changes it, so that others see that its holder lives.</summary>
    /// <returns>False where another has it now.</returns>
    public async Task<bool> RenewAsync(CancellationToken cancellationToken = default)
    {
        _renewals++;
        return await HeldAsync(cancellationToken) is StoredText stored && await _store.TryReplaceTextAsync(_name, Text, stored.ETag, cancellationToken);
    }

    /// <summary>Gives it back, where it is still held.</summary>
    public async Task ReleaseAsync()
    {
        if (await HeldAsync() is StoredText stored)
        {
            await _store.TryReplaceTextAsync(_name, "", stored.ETag);
        }
    }

    /// <summary>The artifact; null where it is not this lease's any more. An earlier renewal whose answer was lost may have gone through, so the id says it.</summary>
    private async Task<StoredText?> HeldAsync(CancellationToken cancellationToken = default) =>
        await _store.ReadTextAsync(_name, cancellationToken) is StoredText stored && Read(stored.Text)?.Lease == _lease ? stored : null;

    private static Content? Read(string text)
    {
        try
        {
            return StoredJson.Parse<Content>("lease", text);
        }
        catch (DamagedArtifactException)
        {
            return null;
        }
    }

    /// <summary>The artifact.</summary>
    /// <param name="Owner">Who holds it.</param>
    /// <param name="Lease">Another one each time that a sweep is taken.</param>
    /// <param name="Renewals">How often it was renewed.</param>
    private sealed record Content(SweepOwner? Owner, Guid Lease, long Renewals);
}

/// <summary>The engine that runs a sweep.</summary>
/// <param name="Engine">Its id, another for each engine of a process.</param>
/// <param name="Process">Its process, for other processes of the machine (<see cref="ProcessIdentity"/>).</param>
/// <param name="Machine">The machine's name, for people.</param>
/// <param name="ProcessId">The process id, for people.</param>
public sealed record SweepOwner(string Engine, string Process, string Machine, int ProcessId)
{
    /// <summary>A new engine of this process.</summary>
    internal static SweepOwner New() =>
        new(Guid.NewGuid().ToString("n"), ProcessIdentity.Current.ToString(), Environment.MachineName, Environment.ProcessId);
}
