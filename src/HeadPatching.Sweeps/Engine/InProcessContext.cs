using System.Diagnostics;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Sweeps.Engine;

/// <summary>The workflow's port in this process.</summary>
internal sealed class InProcessContext : ISweepContext
{
    private readonly ActivityRunner _activities;
    private readonly RunningSweep _sweep;
    private readonly ActivityContext _trace;
    private readonly Action<SweepStatus> _report;

    public InProcessContext(ActivityRunner activities, RunningSweep sweep, ActivityContext trace, Action<SweepStatus> report)
    {
        _activities = activities;
        _sweep = sweep;
        _trace = trace;
        _report = report;
    }

    public string SweepId => _sweep.Id;

    public bool CancelRequested => _sweep.Token.IsCancellationRequested;

    public Task<TOutput> CallAsync<TOutput>(string activity, ActivityInput input) =>
        _sweep.Keep(_activities.CallAsync<TOutput>(activity, input, _trace, _sweep.Token));

    // Nothing keeps a history here: the same parts, in this process.
    public Task<WorkReport> CallPartsAsync(PartsInput parts) => SweepWorkflow.RunPartsAsync(this, parts, _ => { });

    public void Report(SweepProgress progress) => _report(_sweep.Status! with { Progress = progress });
}
