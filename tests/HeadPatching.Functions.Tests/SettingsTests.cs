using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Http;
using HeadPatching.Http.OpenApi;
using HeadPatching.Http.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.ResponseCompression;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace HeadPatching.Functions.Tests;

/// <summary>host.json and the settings: a mistake in them is seen only in the cloud otherwise.</summary>
public class SettingsTests
{
    [Fact]
    public void The_host_file_has_the_durable_extension_where_the_host_looks_for_it()
    {
        JsonNode host = Read("host.json");
        Assert.Equal("2.0", (string?)host["version"]);
        Assert.True(TimeSpan.Parse((string)host["functionTimeout"]!, System.Globalization.CultureInfo.InvariantCulture) >= TimeSpan.FromMinutes(10));
        JsonNode durable = host["extensions"]!["durableTask"]!;
        Assert.Equal("HeadPatching", (string?)durable["hubName"]);
        Assert.Equal("1.0", (string?)durable["defaultVersion"]);
        Assert.Equal("CurrentOrOlder", (string?)durable["versionMatchStrategy"]);
        Assert.Equal("AzureWebJobsStorage", (string?)durable["storageProvider"]!["connectionName"]);
        Assert.False((bool)durable["tracing"]!["traceReplayEvents"]!);
        Assert.False((bool)durable["tracing"]!["traceInputsAndOutputs"]!);

        // Those that run and one more: of a sweep that has only begun, or one that waits a moment for a place. A host that took more would keep them from others.
        Assert.Equal(AppSettings.Read(Configuration((AppSettings.HostStorage, "x"))).ActivitiesAtOnce + 1, (int)durable["maxConcurrentActivityFunctions"]!);
        Assert.Equal("", (string?)host["extensions"]!["http"]!["routePrefix"]); // the page is at "/"; routes of the API name their "api/"
    }

    [Fact]
    public void The_host_sends_its_telemetry_as_the_worker_does()
    {
        JsonNode host = Read("host.json");
        Assert.Equal("OpenTelemetry", (string?)host["telemetryMode"]);
        Assert.Null(host["logging"]!["applicationInsights"]); // that mode reads nothing of it
    }

    [Fact]
    public void The_sample_settings_have_every_setting_that_the_app_reads()
    {
        var sample = (JsonObject)Read("local.settings.sample.json")["Values"]!;
        string[] read = [.. typeof(AppSettings).GetProperties().Select(property => property.Name switch
        {
            nameof(AppSettings.Insights) => AppSettings.InsightsSetting,
            nameof(AppSettings.InsightsIdentity) => AppSettings.InsightsIdentitySetting,
            _ => $"HeadPatching__{property.Name}",
        }), AppSettings.HostStorage];
        Assert.All(read, setting => Assert.True(sample.ContainsKey(setting), setting));
        Assert.Equal("dotnet-isolated", (string?)sample["FUNCTIONS_WORKER_RUNTIME"]);
        Assert.Equal(read.Length + 1, sample.Count);

        AppSettings settings = AppSettings.Read(Configuration([.. sample.Select(value => (value.Key.Replace("__", ":", StringComparison.Ordinal), (string)value.Value!))]));
        Assert.Equal("UseDevelopmentStorage=true", settings.Store);
        Assert.Equal("headpatching", settings.Container);
        Assert.Null(settings.Insights);
        Assert.Null(settings.InsightsIdentity);
    }

    [Theory]
    [InlineData("Authorization=AAD;ClientId=11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-555555555555")]
    [InlineData("authorization=aad; clientid=11111111-2222-3333-4444-555555555555;", "11111111-2222-3333-4444-555555555555")]
    [InlineData("Authorization=AAD", "SystemAssigned")]
    public void Telemetry_may_be_sent_by_an_identity(string setting, string identity) =>
        Assert.Contains(identity, AppSettings.Read(Configuration(("AzureWebJobsStorage", "x"), (AppSettings.InsightsIdentitySetting, setting))).InsightsIdentity!.ToString(), StringComparison.Ordinal);

    [Theory]
    [InlineData("AAD")]
    [InlineData("Authorization=Key")]
    [InlineData("Authorization=AAD;ClientId=")]
    [InlineData("Authorization=AAD;ClientId=headpatching")]
    [InlineData("Authorization=AAD;ObjectId=11111111-2222-3333-4444-555555555555")]
    [InlineData("Authorization=AAD;ClientId=11111111-2222-3333-4444-555555555555;Tenant=x")]
    [InlineData(";")]
    public void An_identity_that_cannot_be_is_named(string setting)
    {
        var wrong = Assert.Throws<InvalidInputException>(() => AppSettings.Read(Configuration(("AzureWebJobsStorage", "x"), (AppSettings.InsightsIdentitySetting, setting))));
        Assert.Equal("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", wrong.Faults[0].Where);
    }

    [Theory]
    [InlineData("AzureWebJobsStorage:accountName", "headpatching", "https://headpatching.blob.core.windows.net")]
    [InlineData("AzureWebJobsStorage:blobServiceUri", "https://other.blob.core.windows.net", "https://other.blob.core.windows.net")]
    [InlineData("HeadPatching:Store", "https://artifacts.blob.core.windows.net", "https://artifacts.blob.core.windows.net")]
    public void Storage_may_be_named_without_a_key(string setting, string value, string store) =>
        Assert.Equal(store, AppSettings.Read(Configuration((setting, value))).Store);

    [Fact]
    public void A_setting_that_cannot_be_is_named()
    {
        Assert.Equal("AzureWebJobsStorage", Assert.Throws<InvalidInputException>(() => AppSettings.Read(Configuration())).Faults[0].Where);
        var threads = Assert.Throws<InvalidInputException>(() => AppSettings.Read(Configuration(("AzureWebJobsStorage", "x"), ("HeadPatching:TorchThreads", "many"))));
        Assert.Equal("HeadPatching__TorchThreads", threads.Faults[0].Where);
        var activities = Assert.Throws<InvalidInputException>(() => AppSettings.Read(Configuration(("AzureWebJobsStorage", "x"), ("HeadPatching:ActivitiesAtOnce", "0"))));
        Assert.Equal(("HeadPatching__ActivitiesAtOnce", "'0' is not a number of activities from 1 to 64."), (activities.Faults[0].Where, activities.Faults[0].Message));
        var size = Assert.Throws<InvalidInputException>(() => AppSettings.Read(Configuration(("AzureWebJobsStorage", "x"), ("HeadPatching:ModelCacheGiB", "-1"))));
        Assert.Equal("HeadPatching__ModelCacheGiB", size.Faults[0].Where);
        Assert.Equal(0, AppSettings.Read(Configuration(("AzureWebJobsStorage", "x"), ("HeadPatching:ModelCacheGiB", "0"))).ModelCacheGiB); // no disk
        Assert.Equal(2.5, AppSettings.Read(Configuration(("AzureWebJobsStorage", "x"), ("HeadPatching:ModelCacheGiB", "2.5"))).ModelCacheGiB);
    }

    [Fact]
    public void The_function_for_unknown_routes_comes_last_where_the_host_tries_them_in_the_order_of_names()
    {
        string[] triggers = [.. typeof(Triggers.SweepTriggers).GetMethods().Select(method => method.GetCustomAttribute<FunctionAttribute>()?.Name).OfType<string>()];
        Assert.Equal("UnknownRoute", triggers.Max(StringComparer.OrdinalIgnoreCase));
        Assert.All(["GetEvents", "GetRequest"], name => Assert.True(triggers.Contains(name) && string.Compare(name, "GetSweepPart", StringComparison.OrdinalIgnoreCase) < 0));
    }

    [Fact]
    public void Every_call_of_the_contract_is_under_api_as_the_embedded_host_has_it_and_GET_answers_HEAD()
    {
        HttpTriggerAttribute[] calls =
        [
            .. typeof(Triggers.SweepTriggers).GetMethods().SelectMany(method => method.GetParameters()).Select(parameter => parameter.GetCustomAttribute<HttpTriggerAttribute>()).OfType<HttpTriggerAttribute>(),
        ];
        Assert.All(calls, call => Assert.StartsWith("api/", call.Route, StringComparison.Ordinal));
        Assert.All(calls, call => Assert.Equal(call.Methods!.Contains("get"), call.Methods!.Contains("head")));
        using var document = JsonDocument.Parse(OpenApiDocumentFile.OpenRead());
        string[] contract = [.. document.RootElement.GetProperty("paths").EnumerateObject().Select(path => path.Name.TrimStart('/'))];
        string[] parts = [.. SweepPart.All.Select(part => $"api/sweeps/{{id}}/{part.Route}")];
        Assert.Empty(contract.Except(calls.Select(call => call.Route!)).Except(parts));
    }

    [Fact]
    public void Only_the_pages_and_the_two_health_calls_need_no_key()
    {
        string[] anonymous =
        [
            .. typeof(Triggers.SweepTriggers).Assembly.GetTypes()
                .SelectMany(type => type.GetMethods())
                .SelectMany(method => method.GetParameters())
                .Select(parameter => parameter.GetCustomAttribute<HttpTriggerAttribute>())
                .Where(trigger => trigger is { AuthLevel: AuthorizationLevel.Anonymous })
                .Select(trigger => trigger!.Route!)
                .Order(StringComparer.Ordinal),
        ];
        Assert.Equal(["api/health", "api/health/live", "docs", "pages/{file}", "{ignored:maxlength(0)?}"], anonymous);
    }

    [Fact]
    public async Task An_answer_is_compressed_where_its_caller_takes_that()
    {
        await using ServiceProvider services = new ServiceCollection().AddLogging().AddResponseCompression(Compression.Configure).BuildServiceProvider();
        foreach (var (type, encodings) in ((string, string[])[])[("application/json", ["br"]), ("image/png", [])])
        {
            var http = new DefaultHttpContext { RequestServices = services };
            http.Request.Headers.AcceptEncoding = "br";
            using var body = new MemoryStream();
            http.Response.Body = body;
            var answer = new Triggers.CompressedAnswers.Answer(Results.Text(new string('a', 10_000), type), services.GetRequiredService<IResponseCompressionProvider>());
            await answer.ExecuteAsync(http);
            Assert.Equal(encodings, http.Response.Headers.ContentEncoding.ToArray());
            Assert.Equal(encodings.Length == 0, body.Length == 10_000);
        }
    }

    private static JsonNode Read(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, file)))!;

    private static IConfiguration Configuration(params (string Key, string Value)[] values) =>
        new ConfigurationBuilder().AddInMemoryCollection(values.Select(value => new KeyValuePair<string, string?>(value.Key, value.Value))).Build();
}
