namespace HeadPatching.Sweeps.Engine;

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
