using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Workflow;

/// <summary>
/// How often an activity is run again. A lost host or a store that does not answer is worth another try; the same invalid input and the same
/// damaged artifact fail the same way, and a cancelled activity was meant to end.
/// </summary>
public sealed record RetryRules
{
    /// <summary>How often an activity is run at the most. Default: 5.</summary>
    public int MaxAttempts { get; init; } = 5;

    /// <summary>The wait before the second attempt. Default: 1 second.</summary>
    public TimeSpan FirstDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>By how much each wait is longer than the one before. Default: 2.</summary>
    public double Backoff { get; init; } = 2;

    /// <summary>The longest wait. Default: 30 seconds.</summary>
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether another attempt could do better.</summary>
    public static bool IsWorthRetrying(Exception exception) => exception is not (InvalidInputException or DamagedArtifactException or OperationCanceledException);
}
