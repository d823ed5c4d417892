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

    [LoggerMessage(8, LogLevel.Warning, "{Damage} The sweep is left as it is until it is deleted")]
    public static partial void SweepDamaged(ILogger logger, string damage);

    [LoggerMessage(9, LogLevel.Error, "Sweep {SweepId} could not be taken up; the next look at the store tries again")]
    public static partial void SweepNotTakenUp(ILogger logger, Exception exception, string sweepId);

    [LoggerMessage(10, LogLevel.Warning, "Sweep {SweepId} goes on at another server, which took it over while this one stood still")]
    public static partial void SweepLost(ILogger logger, string sweepId);

    [LoggerMessage(11, LogLevel.Warning, "The lease of sweep {SweepId} could not be renewed; this is tried again")]
    public static partial void LeaseNotRenewed(ILogger logger, Exception exception, string sweepId);

    [LoggerMessage(12, LogLevel.Warning, "The store could not be looked through for unfinished sweeps; this is tried again")]
    public static partial void NotLooked(ILogger logger, Exception exception);
}
