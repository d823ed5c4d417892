using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Azure.Storage.Queues;
using HeadPatching.Azure;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Functions.Tests;

/// <summary>
/// A sweep on real hosts that come and go with the lengths of the hub's queues, as the scale rules of infra/ have them, and that die on the way.
/// HEADPATCHING_FUNCTIONS_HOST names a program that runs a host on the published app until it is killed, called with the host's number: it writes
/// its address as the first line. Hosts that use port 4001 need a network of their own each, and a storage that all of them reach.
/// </summary>
public class ScalerTests(ITestOutputHelper output)
{
    private const int MostHosts = 2;

    private static readonly string? HostProgram = Environment.GetEnvironmentVariable("HEADPATCHING_FUNCTIONS_HOST");
    private static readonly string? Storage = Environment.GetEnvironmentVariable("AzureWebJobsStorage");

    private readonly List<Process> _hosts = [];
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    [Fact]
    public async Task A_sweep_ends_with_nobody_watching_on_hosts_that_the_queues_lengths_start_and_stop_and_that_die()
    {
        Assert.SkipWhen(HostProgram is null || Storage is null, "HEADPATCHING_FUNCTIONS_HOST and AzureWebJobsStorage do not name a Functions host and its storage.");
        CancellationToken stop = TestContext.Current.CancellationToken;
        var request = new SweepRequest { Dataset = "ioi-generated", Count = 6000, Seed = Environment.TickCount };
        IArtifactStore store = ArtifactStores.Open(Storage, "AzureWebJobsStorage", "headpatching");
        try
        {
            string id = await PostAsync(await StartHostAsync(), request, stop);
            StopHosts("the host that took the call dies");
            await Task.Delay(TimeSpan.FromSeconds(3), stop);
            Assert.True(await WantedHostsAsync(stop) > 0, "Nothing in the queues would start a host.");

            bool oneDied = false, allDied = false;
            TimeSpan idleSince = _clock.Elapsed;
            while (_hosts.Count > 0 || !await store.ExistsAsync(SweepArtifacts.Result(id, "results.json"), stop))
            {
                Assert.InRange(_clock.Elapsed, TimeSpan.Zero, TimeSpan.FromMinutes(8));
                int wanted = await WantedHostsAsync(stop);
                idleSince = wanted > 0 ? _clock.Elapsed : idleSince;
                while (_hosts.Count < wanted)
                {
                    await StartHostAsync();
                }

                if (wanted == 0 && _clock.Elapsed - idleSince > TimeSpan.FromSeconds(10))
                {
                    StopHosts("nothing is left to do");
                }

                int runs = await store.ListAsync("runs", stop).CountAsync(stop);
                if (!oneDied && runs > 20 && _hosts.Count == MostHosts)
                {
                    oneDied = true;
                    Kill(_hosts[0], $"with {runs} runs done, one of two hosts dies");
                }
                else if (oneDied && !allDied && runs > 60)
                {
                    allDied = true;
                    StopHosts($"with {runs} runs done, all hosts die");
                }

                await Task.Delay(TimeSpan.FromSeconds(1), stop);
            }

            Assert.True(oneDied && allDied);
            output.WriteLine($"{_clock.Elapsed.TotalSeconds:F0} s: the results are there and no host is.");
            using var folder = new TemporaryFolder();
            await using var embedded = new InProcessEngine(new LocalArtifactStore(folder.Path), new ModelCatalog(), ReportFiles.All, new EngineOptions { Parallelism = Environment.ProcessorCount });
            await embedded.RunAsync(id, request, stop);
            Assert.Equal(await StoredResults.ReadAsync(embedded.Store, id), await StoredResults.ReadAsync(store, id));
        }
        finally
        {
            StopHosts("the test ends");
        }
    }

    /// <summary>What the scale rules ask for: a host for each message of the longest of the hub's queues, invisible ones counted too.</summary>
    private static async Task<int> WantedHostsAsync(CancellationToken stop)
    {
        var service = new QueueServiceClient(Storage);
        int longest = 0;
        await foreach (var queue in service.GetQueuesAsync(prefix: "headpatching-", cancellationToken: stop))
        {
            var properties = await service.GetQueueClient(queue.Name).GetPropertiesAsync(stop);
            longest = Math.Max(longest, properties.Value.ApproximateMessagesCount);
        }

        return Math.Min(longest, MostHosts);
    }

    private static async Task<string> PostAsync(string address, SweepRequest request, CancellationToken stop)
    {
        using var client = new HttpClient { BaseAddress = new Uri(address) };
        client.DefaultRequestHeaders.Add("x-functions-key", Environment.GetEnvironmentVariable("HEADPATCHING_TEST_KEY") ?? "none");
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(TimeSpan.FromMinutes(1));
        while (true)
        {
            try
            {
                using HttpResponseMessage answer = await client.PostAsJsonAsync(
                    "/api/sweeps", new { dataset = request.Dataset, count = request.Count, seed = request.Seed }, patience.Token);
                if (answer.IsSuccessStatusCode)
                {
                    return (await answer.Content.ReadFromJsonAsync<JsonElement>(patience.Token)).GetProperty("id").GetString()!;
                }
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }

            await Task.Delay(200, patience.Token);
        }
    }

    private async Task<string> StartHostAsync()
    {
        int number = Enumerable.Range(0, MostHosts).First(free => _hosts.All(host => host.StartInfo.ArgumentList[0] != $"{free}"));
        var start = new ProcessStartInfo(HostProgram!) { RedirectStandardOutput = true };
        start.ArgumentList.Add($"{number}");
        Process host = Process.Start(start)!;
        _hosts.Add(host);
        string address = (await host.StandardOutput.ReadLineAsync())!;
        _ = host.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        output.WriteLine($"{_clock.Elapsed.TotalSeconds:F0} s: host {number} starts");
        return address;
    }

    private void StopHosts(string why)
    {
        foreach (Process host in _hosts.ToArray())
        {
            Kill(host, why);
        }
    }

    private void Kill(Process host, string why)
    {
        output.WriteLine($"{_clock.Elapsed.TotalSeconds:F0} s: {why}");
        host.Kill(entireProcessTree: true);
        host.WaitForExit();
        _hosts.Remove(host);
        host.Dispose();
    }
}
