using Azure.Core;
using Azure.Identity;
using Azure.Monitor.OpenTelemetry.Exporter;
using HeadPatching.Core.Faults;
using HeadPatching.Http.Serving;
using Microsoft.Azure.Functions.Worker.OpenTelemetry;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Trace;

namespace HeadPatching.Functions;

/// <summary>
/// OpenTelemetry of the worker: its spans and the sweeps', the sweeps' metrics, and its logs. They go to Application Insights where the settings name one, and where
/// the standard OTEL_* variables say to; with neither, nothing leaves the process. The host sends its own (host.json's telemetryMode).
/// </summary>
public static class Telemetry
{
    /// <summary>Adds it.</summary>
    /// <exception cref="InvalidInputException">A variable names an exporter that there is not.</exception>
    public static void Add(IServiceCollection services, IConfiguration environment, AppSettings settings)
    {
        string[] logExporters = SweepExporters.Exporters(environment, "LOGS");
        TokenCredential? credential = settings.InsightsIdentity is ManagedIdentityId identity ? new ManagedIdentityCredential(identity) : null;

        OpenTelemetryBuilder telemetry = services.AddOpenTelemetry();
        telemetry.UseFunctionsWorkerDefaults();
        telemetry.WithTracing(tracing =>
        {
            tracing.AddSweeps(environment);
            if (settings.Insights is not null)
            {
                tracing.AddAzureMonitorTraceExporter(Configure, credential);
            }
        });
        telemetry.WithMetrics(metrics =>
        {
            metrics.AddSweeps(environment);
            if (settings.Insights is not null)
            {
                metrics.AddAzureMonitorMetricExporter(Configure, credential);
            }
        });

        if (settings.Insights is null && !logExporters.Any(exporter => exporter is SweepExporters.Otlp or SweepExporters.Console))
        {
            return;
        }

        telemetry.WithLogging(
            logging =>
            {
                if (logExporters.Contains(SweepExporters.Otlp))
                {
                    logging.AddOtlpExporter();
                }

                if (logExporters.Contains(SweepExporters.Console))
                {
                    logging.AddConsoleExporter();
                }

                if (settings.Insights is not null)
                {
                    logging.AddAzureMonitorLogExporter(Configure, credential);
                }
            },
            options =>
            {
                options.IncludeFormattedMessage = true;
                options.IncludeScopes = true; // the function and its invocation
            });

        // ASP.NET Core and the Azure SDK log every request at Information; host.json's levels are for the host alone.
        services.AddLogging(logging => logging.AddFilter<OpenTelemetryLoggerProvider>("Microsoft", LogLevel.Warning).AddFilter<OpenTelemetryLoggerProvider>("Azure", LogLevel.Warning));

        void Configure(AzureMonitorExporterOptions options)
        {
            options.ConnectionString = settings.Insights;

            // Every span: by default some of a sweep's would be left out. What a day may cost is bounded by the workspace's cap.
            options.TracesPerSecond = null;
            options.SamplingRatio = 1;
        }
    }
}
