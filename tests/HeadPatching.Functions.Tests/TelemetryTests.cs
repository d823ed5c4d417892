using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace HeadPatching.Functions.Tests;

/// <summary>Where the worker's telemetry goes, against a server on this machine that takes what is sent.</summary>
public sealed partial class TelemetryTests : IAsyncLifetime
{
    private readonly List<(string Path, string Body)> _sent = [];
    private readonly WebApplication _server;

    public TelemetryTests()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _server = builder.Build();
        _server.Run(TakeAsync);
    }

    public async ValueTask InitializeAsync() => await _server.StartAsync();

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Spans_metrics_and_logs_go_to_the_endpoint_that_the_OTEL_variables_name()
    {
        string sweep = await SendAsync(("OTEL_EXPORTER_OTLP_ENDPOINT", _server.Urls.First()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"));
        Assert.Contains(sweep, Bodies("/v1/traces"), StringComparison.Ordinal);
        Assert.Contains(sweep, Bodies("/v1/logs"), StringComparison.Ordinal);
        Assert.All(MetricsOfAnActivity, metric => Assert.Contains(metric, Bodies("/v1/metrics"), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Spans_metrics_and_logs_go_to_Application_Insights()
    {
        string sweep = await SendAsync((AppSettings.InsightsSetting, $"InstrumentationKey={Guid.Empty};IngestionEndpoint={_server.Urls.First()}/"));
        Assert.Contains("RemoteDependencyData", Bodies("/v2.1/track"), StringComparison.Ordinal);
        Assert.Contains("MessageData", Bodies("/v2.1/track"), StringComparison.Ordinal);
        Assert.All(MetricsOfAnActivity, metric => Assert.Contains($"\"name\":\"{metric}\"", Bodies("/v2.1/track"), StringComparison.Ordinal));
        Assert.Contains($"\"headpatching.sweep.id\":\"{sweep}\"", Bodies("/v2.1/track"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_place_named_and_with_none_named_nothing_is_sent()
    {
        await SendAsync();
        await SendAsync(("OTEL_EXPORTER_OTLP_ENDPOINT", _server.Urls.First()), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"));
        Assert.Empty(_sent);
    }

    [Fact]
    public async Task An_exporter_that_there_is_not_is_named()
    {
        var wrong = await Assert.ThrowsAsync<InvalidInputException>(() => SendAsync(("OTEL_LOGS_EXPORTER", "otpl")));
        Assert.Equal("OTEL_LOGS_EXPORTER", wrong.Faults[0].Where);
    }

    private static readonly string[] MetricsOfAnActivity = ["headpatching.activity.duration", "headpatching.patched_runs", "headpatching.forward_passes", "headpatching.bytes_written"];

    /// <summary>A span of a sweep, a line of the log and an activity, sent until there is nothing left to send.</summary>
    /// <returns>The sweep's id.</returns>
    private static async Task<string> SendAsync(params (string Key, string Value)[] settings)
    {
        IConfiguration configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new("AzureWebJobsStorage", "x"), .. settings.Select(setting => new KeyValuePair<string, string?>(setting.Key, setting.Value))]).Build();
        var services = new ServiceCollection();
        services.AddSingleton(configuration).AddLogging();
        Telemetry.Add(services, configuration, AppSettings.Read(configuration));

        using ServiceProvider provider = services.BuildServiceProvider();
        var traces = provider.GetRequiredService<TracerProvider>();
        var metrics = provider.GetRequiredService<MeterProvider>();
        string sweep = SweepIds.New();
        using (Activity? span = SweepTelemetry.StartActivity(ActivityNames.PatchHeads, sweep, part: 1, parent: default))
        {
            Assert.NotNull(span);
            Patched(provider.GetRequiredService<ILogger<TelemetryTests>>(), sweep);
        }

        using var store = new TemporaryFolder();
        var catalog = new ModelCatalog();
        using var models = new LoadedModels(catalog, threads: 1);
        var local = new LocalArtifactStore(store.Path);
        await local.StoreAsync(new StoredRequest(sweep, DateTimeOffset.UtcNow, new SweepRequest(), null));
        var activities = new ActivityTable(local, catalog, models, [], TimeProvider.System);
        await activities.RunAsync(ActivityNames.PatchHeads, new ActivityInput(sweep));

        traces.ForceFlush();
        metrics.ForceFlush();
        provider.GetService<LoggerProvider>()?.ForceFlush();
        return sweep;
    }

    private async Task TakeAsync(HttpContext context)
    {
        await using Stream body = context.Request.Headers.ContentEncoding == "gzip" ? new GZipStream(context.Request.Body, CompressionMode.Decompress) : context.Request.Body;
        using var reader = new StreamReader(body, Encoding.Latin1);
        string text = await reader.ReadToEndAsync();
        lock (_sent)
        {
            _sent.Add((context.Request.Path, text));
        }
    }

    private string Bodies(string path)
    {
        lock (_sent)
        {
            return string.Concat(_sent.Where(sent => sent.Path == path).Select(sent => sent.Body));
        }
    }

    [LoggerMessage(1, LogLevel.Information, "A layer of {SweepId}")]
    private static partial void Patched(ILogger logger, string sweepId);
}
