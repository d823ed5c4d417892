namespace HeadPatching.Sweeps.Engine;

/// <summary>What became of a request.</summary>
/// <param name="Outcome">Whether it is a new sweep.</param>
/// <param name="Status">The sweep's status: the new one's, or that of the sweep that had the key before.</param>
public sealed record Submission(SubmissionOutcome Outcome, SweepStatus Status);

/// <summary>What became of a request.</summary>
public enum SubmissionOutcome
{
    /// <summary>A new sweep.</summary>
    Accepted,

    /// <summary>The key was seen before with the same request: the sweep that it made then.</summary>
    Known,

    /// <summary>The key was seen before with another request: nothing was done.</summary>
    Conflict,
}

/// <summary>As many sweeps wait for their turn as may: the request was not stored. Worth another try when some have run.</summary>
/// <param name="mostQueued">How many may wait.</param>
public sealed class QueueFullException(int mostQueued) : Exception($"{mostQueued} sweeps wait for their turn already.")
{
    /// <summary>How many may wait.</summary>
    public int MostQueued { get; } = mostQueued;
}
