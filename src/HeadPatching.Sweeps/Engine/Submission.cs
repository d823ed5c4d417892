namespace HeadPatching.Sweeps.Engine;

/// <summary>What became of a request.</summary>
/// <param name="Outcome">Whether it is a new sweep.</param>
/// <param name="Status">The sweep's status: the new one's, or that of the sweep that had the key before.</param>
public sealed record Submission(SubmissionOutcome Outcome, SweepStatus Status);
