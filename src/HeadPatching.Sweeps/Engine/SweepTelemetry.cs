using System.Diagnostics;

namespace HeadPatching.Sweeps.Engine;

/// <summary>Traces: one span a sweep and one an activity, in the trace of the call that asked for the sweep.</summary>
public static class SweepTelemetry
{
    /// <summary>The name to listen to.</summary>
    public const string SourceName = "HeadPatching";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Starts the span of a sweep; null when nobody listens.</summary>
    public static Activity? StartSweep(string sweepId, string? traceParent)
    {
        ActivityContext.TryParse(traceParent, null, isRemote: true, out ActivityContext parent);
        return Source.StartActivity("sweep", ActivityKind.Internal, parent)?.SetTag("headpatching.sweep.id", sweepId);
    }

    /// <summary>Starts the span of an activity; null when nobody listens.</summary>
    public static Activity? StartActivity(string name, string sweepId, int part, ActivityContext parent) =>
        Source.StartActivity(name, ActivityKind.Internal, parent)
            ?.SetTag("headpatching.sweep.id", sweepId).SetTag("headpatching.part", part);
}
