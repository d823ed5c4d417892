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
    Task<Submission> SubmitAsync(SweepRequest request, string? idempotencyKey, string? traceParent, CancellationToken cancellationToken = default);

    /// <summary>A sweep's status, or null where there is no such sweep.</summary>
    Task<SweepStatus?> FindAsync(string sweepId, CancellationToken cancellationToken = default);

    /// <summary>Every sweep's status, newest first.</summary>
    Task<IReadOnlyList<SweepStatus>> ListAsync(CancellationToken cancellationToken = default);

    /// <summary>Cancels a running sweep, or deletes the artifacts of one that has ended.</summary>
    Task<Removal> RemoveAsync(string sweepId, CancellationToken cancellationToken = default);
}
