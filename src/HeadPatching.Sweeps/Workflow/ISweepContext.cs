namespace HeadPatching.Sweeps.Workflow;

/// <summary>
/// What the workflow may do: the port to the engine that runs it. The durable engine replays the workflow from its history, so the
/// workflow has no clock, no random numbers and no I/O of its own, and awaits nothing but what comes from here.
/// </summary>
public interface ISweepContext
{
    /// <summary>The sweep's id.</summary>
    string SweepId { get; }

    /// <summary>Whether the sweep is to stop. Read between activities; a running activity is stopped by its engine.</summary>
    bool CancelRequested { get; }

    /// <summary>
    /// Runs an activity, again and again where its infrastructure fails (<see cref="RetryRules"/>), never after invalid input.
    /// </summary>
    /// <typeparam name="TOutput">What the activity returns, small enough for a durable payload.</typeparam>
    /// <param name="activity">One of <see cref="Activities.ActivityNames"/>.</param>
    /// <param name="input">Its input.</param>
    Task<TOutput> CallAsync<TOutput>(string activity, Activities.ActivityInput input);

    /// <summary>
    /// Runs some parts of a wave, for a durable engine as an orchestration of its own, so that no history grows with the number of parts
    /// (<see cref="SweepWorkflow.RunPartsAsync"/>).
    /// </summary>
    Task<Activities.WorkReport> CallPartsAsync(PartsInput parts);

    /// <summary>Tells whoever watches how far the sweep is.</summary>
    void Report(SweepProgress progress);
}

/// <summary>Some parts of a wave.</summary>
/// <param name="SweepId">The sweep.</param>
/// <param name="Activity">The activity that each is run with.</param>
/// <param name="Parts">The parts.</param>
/// <param name="Round">Of sets of nodes, and of an adaptive sweep, the round that they are of.</param>
public sealed record PartsInput(string SweepId, string Activity, IReadOnlyList<int> Parts, int Round = 0);
