using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Activities;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace HeadPatching.Http.Serving;

/// <summary>
/// Logs on the console, OpenTelemetry traces and metrics. Spans are always made, so that every log line of a sweep has the trace id of the request
/// that asked for it (JSON logs show it: Logging__Console__FormatterName=json); they leave the process only where the standard variables
/// say where to: OTEL_TRACES_EXPORTER (otlp, console, none) or an OTEL_EXPORTER_OTLP_* endpoint. So it is with metrics, by OTEL_METRICS_EXPORTER.
/// </summary>
internal static class Telemetry
{
    private const string FormatterSetting = "Logging:Console:FormatterName";

    /// <exception cref="InvalidInputException">The variable names an exporter that there is not.</exception>
    public static void Add(WebApplicationBuilder builder)
    {
        // First in the list, so that environment variables win.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = new Dictionary<string, string?>
            {
                ["Logging:LogLevel:Default"] = "Information",
                ["Logging:LogLevel:Microsoft"] = "Warning",
                [FormatterSetting] = ConsoleFormatterNames.Simple,
                ["Logging:Console:FormatterOptions:TimestampFormat"] = "yyyy-MM-ddTHH:mm:ss.fffZ ",
                ["Logging:Console:FormatterOptions:UseUtcTimestamp"] = "true",
                ["Logging:Console:FormatterOptions:SingleLine"] = "true",
                ["Logging:Console:FormatterOptions:ColorBehavior"] = "Disabled", // names in messages come from files: escape sequences are kept from terminals, these too
            },
        });
        builder.Logging.Configure(options =>
            options.ActivityTrackingOptions = ActivityTrackingOptions.TraceId | ActivityTrackingOptions.SpanId | ActivityTrackingOptions.ParentId);
        builder.Logging.AddConsole(options => options.FormatterName = builder.Configuration[FormatterSetting]); // the slim builder has fixed it
        builder.Services.Configure<JsonConsoleFormatterOptions>(options => options.IncludeScopes = true);

        builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("headpatching", serviceVersion: AssembleSweep.Version).AddEnvironmentVariableDetector())
            .WithTracing(tracing => tracing.AddSweeps(builder.Configuration).AddAspNetCoreInstrumentation())
            .WithMetrics(metrics => metrics.AddSweeps(builder.Configuration));
    }
}
