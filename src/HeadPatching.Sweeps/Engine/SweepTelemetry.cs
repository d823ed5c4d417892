using System.Diagnostics;
using System.Diagnostics.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Sweeps.Activities;

namespace HeadPatching.Sweeps.Engine;

/// <summary>
/// Traces: one span a sweep and one an activity, in the trace of the call that asked for the sweep. Metrics: what the activities of this process did;
/// their rates are the sweeps' pace.
/// </summary>
public static class SweepTelemetry
{
    /// <summary>The name to listen to, of spans and metrics alike.</summary>
    public const string SourceName = "HeadPatching";

    private static readonly ActivitySource Source = new(SourceName);
    private static readonly Meter Meter = new(SourceName);

    private static readonly Histogram<double> Durations = Meter.CreateHistogram<double>("headpatching.activity.duration", "s", "How long activities took, by activity and outcome");
    private static readonly Counter<long> PatchedRuns = Meter.CreateCounter<long>("headpatching.patched_runs", "{run}", "Patched runs made");
    private static readonly Counter<long> ForwardPasses = Meter.CreateCounter<long>("headpatching.forward_passes", "{prompt}", "Prompts run through the model for their activations");
    private static readonly Counter<long> Reused = Meter.CreateCounter<long>("headpatching.runs_reused", "{run}", "Runs of a band of layers over a chunk of pairs that were in the store already");
    private static readonly Counter<long> BytesRead = Meter.CreateCounter<long>("headpatching.bytes_read", "By", "Bytes of activations and runs that were read from the store");
    private static readonly Counter<long> BytesWritten = Meter.CreateCounter<long>("headpatching.bytes_written", "By", "Bytes of activations and runs that were written to the store");

    static SweepTelemetry()
    {
        Meter.CreateObservableGauge("headpatching.gpu.memory_free", FreeGpuMemory, "By", "Free memory of the GPU; nothing where there is none");
    }

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

    private static IEnumerable<Measurement<long>> FreeGpuMemory() => GpuMemory.FreeBytes is long free ? [new Measurement<long>(free)] : [];

    /// <summary>Runs an activity and counts what it did.</summary>
    internal static async Task<object> MeasuredAsync(string name, Func<Task<object>> run)
    {
        long started = Stopwatch.GetTimestamp();
        string outcome = "failed"; // tried again or not: what is tried again is counted each time
        try
        {
            object output = await run();
            outcome = "done";
            if (output is WorkReport report)
            {
                PatchedRuns.Add(report.PatchedRuns);
                ForwardPasses.Add(report.ForwardPasses);
                Reused.Add(report.Reused);
                BytesRead.Add(report.BytesRead);
                BytesWritten.Add(report.BytesWritten);
            }

            return output;
        }
        catch (OperationCanceledException)
        {
            outcome = "cancelled";
            throw;
        }
        finally
        {
            Durations.Record(
                Stopwatch.GetElapsedTime(started).TotalSeconds, new KeyValuePair<string, object?>("headpatching.activity", name), new KeyValuePair<string, object?>("headpatching.outcome", outcome));
        }
    }
}
