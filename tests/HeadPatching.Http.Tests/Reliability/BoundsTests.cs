using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Reliability;

/// <summary>What is bounded, and what is said at the bound; the figures are in the test output.</summary>
public sealed class BoundsTests(ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public async Task Sixty_bodies_of_5_MiB_take_no_memory_to_speak_of_and_the_next_server_listens_at_once()
    {
        byte[] body = Encoding.UTF8.GetBytes(LargeBody(5 << 20));
        string[] arguments = ["--store", _folder["store"], "--parallelism", "1"];

        // The bodies are many times their bytes as objects. What the collector lets lie differs from run to run: so it is told how much there is, which
        // the four sweeps at work at once need, and sixty bodies together would not find.
        using (Server server = await Server.StartAsync(_folder.Path, heapMiB: 768, arguments))
        {
            var stopwatch = Stopwatch.StartNew();
            await Parallel.ForEachAsync(Enumerable.Range(0, 60), new ParallelOptions { MaxDegreeOfParallelism = 60 }, async (_, stop) =>
            {
                while (true)
                {
                    using HttpResponseMessage answer = await server.Client.PostAsync(body);
                    if (answer.StatusCode != HttpStatusCode.TooManyRequests)
                    {
                        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
                        return;
                    }

                    await Task.Delay(answer.Headers.RetryAfter!.Delta!.Value, stop);
                }
            });
            output.WriteLine($"60 bodies of 5 MiB accepted in {stopwatch.Elapsed.TotalSeconds:F1} s with a heap of 768 MiB: at most {server.Process.PeakMemoryMiB} MiB in all.");
            Assert.False(server.Process.HasExited, server.Process.Error);
            server.Process.Kill();
        }

        var restart = Stopwatch.StartNew();
        using Server next = await Server.StartAsync(_folder.Path, arguments);
        double listens = restart.Elapsed.TotalSeconds;
        Assert.Equal(60, (await next.Client.GetAsync("/api/sweeps")).GetProperty("total").GetInt32());
        output.WriteLine($"The next server listened after {listens:F1} s and listed all after {restart.Elapsed.TotalSeconds:F1} s: at most {next.Process.PeakMemoryMiB} MiB.");
        Assert.InRange(listens, 0, 30);
    }

    [Fact]
    public async Task Beyond_the_bound_of_queued_sweeps_it_answers_429_and_says_when_to_come_again()
    {
        LongSweep.WriteModel(_folder["models"]);
        using Server server = await Server.StartAsync(
            _folder.Path, "--store", _folder["store"], "--models", _folder["models"], "--parallelism", "1", "--max-queued", "3");
        var accepted = new List<string>();
        while (true)
        {
            using HttpResponseMessage answer = await server.Client.PostAsync(LongSweep.Body(pairs: 60, seed: accepted.Count), $"key {accepted.Count}");
            if (answer.StatusCode == HttpStatusCode.TooManyRequests)
            {
                JsonElement problem = await answer.ReadProblemAsync(HttpStatusCode.TooManyRequests, "too-many-sweeps");
                Assert.Contains("3", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
                Assert.NotNull(answer.Headers.RetryAfter);
                break;
            }

            Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
            accepted.Add(JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.GetProperty("id").GetString()!);
            Assert.InRange(accepted.Count, 1, 20);
        }

        // A sweep that is there is still found by its key; and when one goes, another one may come.
        Assert.Equal(accepted[0], await server.Client.StartAsync(LongSweep.Body(pairs: 60, seed: 0), "key 0"));
        using (HttpResponseMessage removed = await server.Client.Http.DeleteAsync($"/api/sweeps/{accepted[^1]}"))
        {
            Assert.Equal(HttpStatusCode.Accepted, removed.StatusCode);
        }

        await server.Client.WaitForEndAsync(accepted[^1]);
        await server.Client.StartAsync("{}");
    }

    [Fact]
    public async Task The_list_comes_in_pages_newest_first()
    {
        await using InProcessServer server = await InProcessServer.StartAsync(_folder.Path);
        var ids = new List<string>();
        for (int sweep = 0; sweep < 7; sweep++)
        {
            ids.Add(await server.Client.StartAsync("{}"));
        }

        await server.Client.ResultsAsync(ids[^1]);
        var listed = new List<string>();
        string path = "/api/sweeps?limit=3";
        for (int pages = 1; ; pages++)
        {
            JsonElement page = await server.Client.GetAsync(path);
            Assert.Equal(7, page.GetProperty("total").GetInt32());
            listed.AddRange(page.GetProperty("sweeps").EnumerateArray().Select(sweep => sweep.GetProperty("id").GetString()!));
            if (!page.TryGetProperty("next", out JsonElement next))
            {
                Assert.Equal(3, pages);
                break;
            }

            path = next.GetString()!;
        }

        Assert.Equal(Enumerable.Reverse(ids), listed);
        foreach (string query in (string[])["limit=0", "limit=1001", "limit=x", "after=nonsense"])
        {
            using HttpResponseMessage refused = await server.Client.Http.GetAsync($"/api/sweeps?{query}");
            Assert.Equal([$"{query.Split('=')[0]} invalid-option"], (await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
        }
    }

    [Fact]
    public async Task Connections_beyond_the_bound_are_closed_and_those_within_it_work_on()
    {
        using Server server = await Server.StartAsync(_folder.Path, "--store", _folder["store"], "--max-connections", "8");
        var held = new List<TcpClient>();
        try
        {
            int refused = 0;
            for (int connection = 0; connection < 20; connection++)
            {
                var client = new TcpClient();
                held.Add(client);
                await client.ConnectAsync(IPAddress.Loopback, server.Address.Port);
                refused += await IsClosedAsync(client) ? 1 : 0;
            }

            Assert.InRange(refused, 12, 13);
        }
        finally
        {
            held.ForEach(client => client.Dispose());
        }

        for (int tries = 0; ; tries++)
        {
            try
            {
                Assert.Equal("ok", (await server.Client.GetAsync("/api/health")).GetProperty("status").GetString());
                break;
            }
            catch (HttpRequestException) when (tries < 50)
            {
                await Task.Delay(100); // until it has seen that those are gone
            }
        }

        static async Task<bool> IsClosedAsync(TcpClient client)
        {
            using var patience = new CancellationTokenSource(300);
            try
            {
                return await client.GetStream().ReadAsync(new byte[1], patience.Token) == 0;
            }
            catch (OperationCanceledException)
            {
                return false;
            }
            catch (IOException)
            {
                return true;
            }
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A valid request of about so many bytes: pairs of token ids of the demo model.</summary>
    private static string LargeBody(int bytes)
    {
        string pair = $$"""{"clean": [{{string.Join(',', Enumerable.Repeat(100, 25))}}], "corrupted": [{{string.Join(',', Enumerable.Repeat(101, 25))}}], "correct": [{{string.Join(',', Enumerable.Range(200, 100))}}], "incorrect": 2}""";
        return $$"""{"pairs": [{{string.Join(',', Enumerable.Repeat(pair, Math.Min(10_000, bytes / (pair.Length + 1))))}}]}""";
    }
}
