using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Sweeps.Engine;

/// <summary>How much the in-process engine does at once, and how it retries.</summary>
public sealed record EngineOptions
{
    /// <summary>
    /// How many activities run at once; libtorch's threads are shared out among them, so together they use the machine's cores once.
    /// Default: as many as there are cores, at most 4, since each holds a batch of its own in memory.
    /// </summary>
    public int Parallelism { get; init; } = Math.Min(Environment.ProcessorCount, 4);

    /// <summary>How activities are retried.</summary>
    public RetryRules Retry { get; init; } = new();

    /// <summary>How often the stored status follows the sweep at the most. Default: twice a second.</summary>
    public TimeSpan StatusInterval { get; init; } = TimeSpan.FromSeconds(0.5);
}
