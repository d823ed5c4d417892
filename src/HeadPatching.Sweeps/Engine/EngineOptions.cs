using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Sweeps.Engine;

/// <summary>How much the in-process engine does at once, how it retries, and how often it looks at the store.</summary>
public sealed record EngineOptions
{
    /// <summary>
    /// How many activities run at once; libtorch's threads are shared out among them, so together they use the machine's cores once. One more
    /// may run for a sweep that has only begun, so that a small sweep need not wait for an activity of a large one to end.
    /// Default: as many as there are cores, at most 4, since each holds a batch of its own in memory.
    /// </summary>
    public int Parallelism { get; init; } = Math.Min(Environment.ProcessorCount, 4);

    /// <summary>How many sweeps are at work at once, sharing the activities evenly; the others wait for their turn. Default: 4, or <see cref="Parallelism"/> where that is more.</summary>
    public int SweepsAtOnce { get => field > 0 ? field : Math.Max(4, Parallelism); init; }

    /// <summary>How many sweeps may wait for their turn; a request beyond is refused. Default: 1000.</summary>
    public int MostQueued { get; init; } = 1000;

    /// <summary>How activities are retried.</summary>
    public RetryRules Retry { get; init; } = new();

    /// <summary>How often the stored status follows the sweep at the most. Default: twice a second.</summary>
    public TimeSpan StatusInterval { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>How often an engine that has resumed looks for sweeps of the store that nobody runs. Default: 3 seconds.</summary>
    public TimeSpan LookInterval { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>How often a sweep's lease is renewed. Default: 3 seconds.</summary>
    public TimeSpan LeaseRenewal { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// How long a lease must have stood still until another engine takes the sweep over: several renewals, so that a slow store loses nobody his
    /// sweep. The lease of a process that is seen to have ended is taken at once. Default: 12 seconds.
    /// </summary>
    public TimeSpan LeaseDuration { get; init; } = TimeSpan.FromSeconds(12);

    /// <summary>How often a running sweep looks whether it was cancelled elsewhere. Default: each second.</summary>
    public TimeSpan CancelInterval { get; init; } = TimeSpan.FromSeconds(1);
}
