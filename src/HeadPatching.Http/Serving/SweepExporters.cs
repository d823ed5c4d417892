using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Engine;
using Microsoft.Extensions.Configuration;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace HeadPatching.Http.Serving;

/// <summary>What every host of sweeps does with OpenTelemetry: the sweeps' spans and metrics, and the exporters that the standard OTEL_* variables ask for.</summary>
public static class SweepExporters
{
    /// <summary>The standard OTLP exporter.</summary>
    public const string Otlp = "otlp";

    /// <summary>The console.</summary>
    public const string Console = "console";

    /// <summary>Makes the sweeps' spans, and sends all spans where the variables say to.</summary>
    /// <exception cref="InvalidInputException">A variable names an exporter that there is not.</exception>
    public static TracerProviderBuilder AddSweeps(this TracerProviderBuilder tracing, IConfiguration environment)
    {
        string[] exporters = Exporters(environment, "TRACES");
        tracing.AddSource(SweepTelemetry.SourceName);
        if (exporters.Contains(Otlp))
        {
            tracing.AddOtlpExporter();
        }

        if (exporters.Contains(Console))
        {
            tracing.AddConsoleExporter();
        }

        return tracing;
    }

    /// <summary>Counts what the sweeps' activities do, and sends the counts where the variables say to.</summary>
    /// <exception cref="InvalidInputException">A variable names an exporter that there is not.</exception>
    public static MeterProviderBuilder AddSweeps(this MeterProviderBuilder metrics, IConfiguration environment)
    {
        string[] exporters = Exporters(environment, "METRICS");
        metrics.AddMeter(SweepTelemetry.SourceName);
        if (exporters.Contains(Otlp))
        {
            metrics.AddOtlpExporter();
        }

        if (exporters.Contains(Console))
        {
            metrics.AddConsoleExporter();
        }

        return metrics;
    }

    /// <summary>
    /// The exporters of a signal (TRACES, METRICS, LOGS): those that OTEL_{signal}_EXPORTER names (otlp, console, none), or else otlp where an
    /// OTEL_EXPORTER_OTLP_* endpoint is named, or else none.
    /// </summary>
    /// <exception cref="InvalidInputException">The variable names an exporter that there is not.</exception>
    public static string[] Exporters(IConfiguration environment, string signal)
    {
        string variable = $"OTEL_{signal}_EXPORTER";
        string? named = environment[variable];
        if (string.IsNullOrWhiteSpace(named))
        {
            string[] endpoints = ["OTEL_EXPORTER_OTLP_ENDPOINT", $"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"];
            return endpoints.Any(endpoint => !string.IsNullOrWhiteSpace(environment[endpoint])) ? [Otlp] : [];
        }

        string[] exporters = named.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return exporters.FirstOrDefault(exporter => exporter is not (Otlp or Console or "none")) is string unknown
            ? throw new InvalidInputException(FaultKinds.InvalidOption, variable, $"There is no exporter '{unknown}'. Known: {Otlp}, {Console}, none.")
            : exporters;
    }
}
