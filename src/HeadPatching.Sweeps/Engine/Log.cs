using Microsoft.Extensions.Logging;

namespace HeadPatching.Sweeps.Engine;

/// <summary>What the engine says.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Sweep {SweepId} started: {Patch} of {Model} on {Dataset}")]
    public static partial void SweepStarted(ILogger logger, string sweepId, string patch, string model, string dataset);

    [LoggerMessage(2, LogLevel.Information, "Sweep {SweepId} ended: {Status} after {Seconds:F1} s")]
    public static partial void SweepEnded(ILogger logger, string sweepId, SweepState status, double seconds);

    [LoggerMessage(3, LogLevel.Error, "Sweep {SweepId} failed")]
    public static partial void SweepFailed(ILogger logger, Exception exception, string sweepId);

    [LoggerMessage(4, LogLevel.Warning, "{Activity} of sweep {SweepId} (part {Part}) failed, attempt {Attempt}; again in {Delay}")]
    public static partial void ActivityRetried(
        ILogger logger, Exception? exception, string activity, string sweepId, int part, int attempt, TimeSpan delay);

    [LoggerMessage(5, LogLevel.Information, "{Activity} of sweep {SweepId} (part {Part}) done in {Seconds:F2} s")]
    public static partial void ActivityDone(ILogger logger, string activity, string sweepId, int part, double seconds);

    [LoggerMessage(6, LogLevel.Information, "{Count} unfinished sweeps go on")]
    public static partial void SweepsResumed(ILogger logger, int count);

    [LoggerMessage(7, LogLevel.Warning, "The status of sweep {SweepId} could not be stored; it will be with the next change")]
    public static partial void StatusNotStored(ILogger logger, Exception exception, string sweepId);
}
