namespace HeadPatching.Sweeps.Requests;

/// <summary>A request as it lies in the store: the first thing that is written of a sweep, and never changed.</summary>
/// <param name="SweepId">The sweep's id.</param>
/// <param name="CreatedAt">When it was asked for.</param>
/// <param name="Request">What was asked for.</param>
/// <param name="TraceParent">The W3C trace context of the call that asked, so that activities join its trace; null without one.</param>
public sealed record StoredRequest(string SweepId, DateTimeOffset CreatedAt, SweepRequest Request, string? TraceParent = null)
{
    /// <summary>The form that this version writes, and the newest that it reads: an option that it does not know must not be passed over.</summary>
    public const int NewestSchema = 1;

    /// <summary>The form of the stored request.</summary>
    public int SchemaVersion { get; init; } = NewestSchema;
}
