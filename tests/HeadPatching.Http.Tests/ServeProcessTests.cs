using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Azure;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests;

/// <summary>`headpatch serve` as a process: how it starts, is killed, starts again, and ends; and on a store that fails.</summary>
public sealed class ServeProcessTests(AzuriteFixture azurite, ITestOutputHelper output)
{
    [Fact]
    public async Task After_a_SIGKILL_the_next_server_goes_on_by_itself_and_redoes_no_finished_layer()
    {
        using var folder = new TemporaryFolder();
        LongSweep.WriteModel(folder["models"]);
        string[] arguments = ["--store", folder["store"], "--models", folder["models"], "--parallelism", "2"];
        string request = LongSweep.Body(pairs: 33, seed: 3);
        string id;
        string[] queued;
        int doneBefore;
        using (Server first = await Server.StartAsync(folder.Path, arguments))
        {
            id = await first.Client.StartAsync(request);
            await first.Client.StartAsync(LongSweep.Body(pairs: 33, seed: 4)); // takes the second place, so that others wait
            queued = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => first.Client.StartAsync("{}")));
            JsonElement status = await first.Client.WaitAsync(id, status => Tasks(status, "tasksDone") >= 4);
            doneBefore = Tasks(status, "tasksDone");
            first.Process.Kill();
        }

        await using InProcessServer second = await InProcessServer.StartAsync(folder.Path, options => options with { Parallelism = 2 });
        JsonElement ended = await second.Client.WaitForEndAsync(id);
        Assert.Equal("completed", ended.GetProperty("status").GetString());
        Assert.InRange(Tasks(ended, "tasksReused"), doneBefore, Tasks(ended, "tasksTotal") - 1);
        output.WriteLine(
            $"Killed with {doneBefore} of {Tasks(ended, "tasksTotal")} tasks done; the next server reused {Tasks(ended, "tasksReused")} and completed the sweep.");
        foreach (string sweep in queued)
        {
            Assert.Equal("completed", (await second.Client.WaitForEndAsync(sweep)).GetProperty("status").GetString());
        }

        string undisturbed = await second.Client.StartAsync(request);
        Assert.Equal(
            WithoutTimes(await second.Client.ResultsAsync(undisturbed)), WithoutTimes(await second.Client.ResultsAsync(id)));
    }

    [Fact]
    public async Task Asked_to_end_it_ends_with_0_and_leaves_a_running_sweep_to_the_next_server()
    {
        using var folder = new TemporaryFolder();
        LongSweep.WriteModel(folder["models"]);
        string[] arguments = ["--store", folder["store"], "--models", folder["models"]];
        string id;
        using (Server first = await Server.StartAsync(folder.Path, arguments))
        {
            id = await first.Client.StartAsync(LongSweep.Body(pairs: 20, seed: 5));
            await first.Client.WaitAsync(id, status => Tasks(status, "tasksDone") >= 1);
            first.Process.Interrupt();
            Assert.Equal(0, await first.Process.ExitAsync());
            Assert.Empty(first.Process.Error.Trim());
        }

        await using InProcessServer second = await InProcessServer.StartAsync(folder.Path);
        Assert.Equal("completed", (await second.Client.WaitForEndAsync(id)).GetProperty("status").GetString());
    }

    [Fact]
    public async Task What_keeps_it_from_starting_is_said_in_one_line()
    {
        using var folder = new TemporaryFolder();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        string file = folder.Write("file", "");

        await AssertRefusedAsync("--urls", "--urls", $"http://{taken.LocalEndpoint}", "--store", folder["store"]);
        await AssertRefusedAsync("--urls", "--urls", "nonsense", "--store", folder["store"]);
        await AssertRefusedAsync("--urls", "--urls", "https://127.0.0.1:7071", "--store", folder["store"]);
        await AssertRefusedAsync("--urls", "--urls", "http://127.0.0.1:99999", "--store", folder["store"]);
        await AssertRefusedAsync("--store", "--store", Path.Combine(file, "store"), "--urls", "http://127.0.0.1:0");
        await AssertRefusedAsync("--store", "--store", "AccountName=x", "--urls", "http://127.0.0.1:0");
        await AssertRefusedAsync("--models", "--models", folder["none"], "--store", folder["store"], "--urls", "http://127.0.0.1:0");
        await AssertRefusedAsync("--parallelism", "--parallelism", "0", "--store", folder["store"]);

        async Task AssertRefusedAsync(string option, params string[] arguments)
        {
            var (exitCode, _, error) = await HeadpatchProcess.RunAsync(folder.Path, ["serve", .. arguments]);
            string line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
            Assert.StartsWith(option + ": ", line, StringComparison.Ordinal);
            Assert.Equal(2, exitCode);
        }
    }

    [Fact]
    public async Task A_store_that_fails_a_share_of_requests_gives_the_same_result()
    {
        AzuriteServer store = await azurite.ServerAsync();
        using var folder = new TemporaryFolder();
        LongSweep.WriteModel(folder["models"]);
        string request = LongSweep.Body(pairs: 10, seed: 6);
        await using InProcessServer undisturbed = await InProcessServer.StartAsync(folder.Path);
        string expected = WithoutTimes(await undisturbed.Client.ResultsAsync(await undisturbed.Client.StartAsync(request)));

        await using FaultyProxy proxy = await FaultyProxy.StartAsync(store.BlobAddress, seed: 7, share: 0.1);
        await using InProcessServer server = await InProcessServer.StartAsync(folder.Path, options => options with { OpenStore = () => ArtifactStores.Open(store.ConnectionStringVia(proxy.Address)) });
        var stopwatch = Stopwatch.StartNew();
        string actual = WithoutTimes(await server.Client.ResultsAsync(await server.Client.StartAsync(request)));
        Assert.Equal(expected, actual);

        NetworkFault[] faults = [.. Enum.GetValues<NetworkFault>().Where(fault => fault != NetworkFault.None)];
        int all = faults.Sum(proxy.Count);
        output.WriteLine(
            $"A sweep through a store with faults in {stopwatch.Elapsed.TotalSeconds:F1} s: {all} of {all + proxy.Count(NetworkFault.None)} requests met one "
            + $"({string.Join(", ", faults.Select(fault => $"{proxy.Count(fault)} {fault}"))}).");
        Assert.True(all > 0);
    }

    [Fact]
    public async Task Faults_of_a_model_name_its_files_and_not_where_they_lie_on_the_server()
    {
        using var folder = new TemporaryFolder();
        RandomModelFolder.Write(folder["models/broken"], layers: 1, heads: 2, width: 16, vocabulary: 20, context: 8, seed: 3);
        await File.WriteAllTextAsync(folder["models/broken/config.json"], "{", TestContext.Current.CancellationToken);
        await using InProcessServer server = await InProcessServer.StartAsync(folder.Path);
        JsonElement status = await server.Client.WaitForEndAsync(await server.Client.StartAsync("""{"model": "broken"}"""));
        JsonElement error = status.GetProperty("error");
        Assert.StartsWith("broken/config.json", error.GetProperty("faults")[0].GetProperty("path").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain(folder.Path, error.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_is_gone_is_503_with_Retry_After()
    {
        AzuriteServer store = await azurite.ServerAsync();
        using var folder = new TemporaryFolder();
        FaultyProxy proxy = await FaultyProxy.StartAsync(store.BlobAddress, seed: 8, share: 0);
        await using InProcessServer server = await InProcessServer.StartAsync(folder.Path, options => options with { OpenStore = () => ArtifactStores.Open(store.ConnectionStringVia(proxy.Address)) });
        await proxy.DisposeAsync();

        using HttpResponseMessage health = await server.Client.Http.GetAsync("/api/health");
        await health.ReadProblemAsync(HttpStatusCode.ServiceUnavailable, "store-unavailable");
        Assert.NotNull(health.Headers.RetryAfter);
        Assert.Equal("ok", (await server.Client.GetAsync("/api/health/live")).GetProperty("status").GetString()); // or its host would be restarted for it
        using HttpResponseMessage refused = await server.Client.PostAsync("{}");
        await refused.ReadProblemAsync(HttpStatusCode.ServiceUnavailable, "store-unavailable");
    }

    [Fact]
    public async Task One_trace_ties_the_request_to_its_sweep_and_activities_in_spans_and_in_logs()
    {
        using var folder = new TemporaryFolder();
        var environment = new Dictionary<string, string> { ["OTEL_TRACES_EXPORTER"] = "console", ["Logging__Console__FormatterName"] = "json" };
        using Server server = await Server.StartAsync(folder.Path, environment, ["--store", folder["store"]]);
        const string Trace = "0af7651916cd43dd8448eb211c80319c";
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/sweeps") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        request.Headers.Add("traceparent", $"00-{Trace}-b7ad6b7169203331-01");
        using HttpResponseMessage accepted = await server.Client.Http.SendAsync(request);
        string id = JsonDocument.Parse(await accepted.Content.ReadAsStringAsync()).RootElement.GetProperty("id").GetString()!;
        await server.Client.ResultsAsync(id);
        server.Process.Interrupt();
        await server.Process.ExitAsync();

        string printed = server.Process.Output;
        foreach (string span in (string[])["POST /api/sweeps", "sweep", "PlanSweep", "PatchHeads", "AssembleSweep"])
        {
            Assert.Contains(printed.Split("Activity.TraceId:"), one => one.Contains(Trace, StringComparison.Ordinal) && DisplayName(one) == span);
        }

        Assert.Contains(
            printed.Split('\n'),
            line => line.StartsWith('{') && line.Contains("PatchHeads", StringComparison.Ordinal) && line.Contains(Trace, StringComparison.Ordinal));

        static string DisplayName(string span) =>
            span.Split('\n').FirstOrDefault(line => line.StartsWith("Activity.DisplayName:", StringComparison.Ordinal))?.Split(':', 2)[1].Trim() ?? "";
    }

    private static int Tasks(JsonElement status, string which) => status.GetProperty("progress").GetProperty(which).GetInt32();

    /// <summary>A result without what differs between two runs of the same sweep.</summary>
    private static string WithoutTimes(JsonElement results)
    {
        JsonObject copy = JsonNode.Parse(results.GetRawText())!.AsObject();
        Assert.True(copy.Remove("sweepId") && copy.Remove("timings"));
        return copy.ToJsonString();
    }
}
