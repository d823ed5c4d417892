using Microsoft.Extensions.Logging;

namespace HeadPatching.Http;

/// <summary>What the handlers say.</summary>
internal static partial class Log
{
    [LoggerMessage(101, LogLevel.Error, "{Method} {Path}: the artifact store failed")]
    public static partial void StoreFailed(ILogger logger, Exception exception, string method, string path);

    [LoggerMessage(102, LogLevel.Error, "{Method} {Path} failed")]
    public static partial void RequestFailed(ILogger logger, Exception exception, string method, string path);

    [LoggerMessage(103, LogLevel.Warning, "The store could not be looked through for callbacks; this is tried again")]
    public static partial void CallbacksNotLooked(ILogger logger, Exception exception);
}
