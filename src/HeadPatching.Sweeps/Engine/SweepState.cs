namespace HeadPatching.Sweeps.Engine;

/// <summary>Where a sweep stands.</summary>
public enum SweepState
{
    /// <summary>Asked for, not started.</summary>
    Queued,

    /// <summary>Running, or waiting for its host to come back.</summary>
    Running,

    /// <summary>Its result is there.</summary>
    Completed,

    /// <summary>It ended without a result; its status says why.</summary>
    Failed,

    /// <summary>It was asked to stop.</summary>
    Cancelled,
}
