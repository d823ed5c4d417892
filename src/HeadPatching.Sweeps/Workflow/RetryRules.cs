using System.Net.Sockets;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Workflow;

/// <summary>
/// How often an activity is run again. A store or network that does not answer is worth another try. All else fails the same way again:
/// invalid input, too little memory, a mistake in the program; and a cancelled activity was meant to end. A lost host is no failure of an
/// activity: another one takes it up.
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

    /// <summary>Whether there is to be another attempt.</summary>
    /// <param name="after">How many attempts there were.</param>
    /// <param name="failure">How the last one failed.</param>
    public bool MayTryAgain(int after, Exception failure) => after < MaxAttempts && IsWorthRetrying(failure);

    /// <summary>Whether another attempt could do better: whether it is a store's or the network's.</summary>
    public static bool IsWorthRetrying(Exception exception) => exception switch
    {
        StoreUnavailableException store => store.MayPass,
        _ => exception is IOException or HttpRequestException or SocketException or TimeoutException,
    };
}
