using System.Net;
using System.Text.Json;
using HeadPatching.Azure;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Reliability;

/// <summary>SIGKILL at any moment: what was promised before it holds after it.</summary>
public sealed class KilledServerTests(ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string[] Arguments => ["--store", _folder["store"], "--models", _folder["models"], "--parallelism", "2"];

    [Fact]
    public async Task A_sweep_whose_DELETE_was_answered_is_cancelled_after_a_kill()
    {
        LongSweep.WriteModel(_folder["models"]);
        var ids = new List<string>();
        using (Server first = await Server.StartAsync(_folder.Path, Arguments))
        {
            for (int sweep = 0; sweep < 6; sweep++)
            {
                ids.Add(await first.Client.StartAsync(LongSweep.Body(pairs: 40, seed: sweep)));
            }

            await first.Client.WaitAsync(ids[0], status => status.GetProperty("progress").GetProperty("tasksDone").GetInt32() > 0);
            foreach (string id in Enumerable.Reverse(ids)) // queued ones, and last one that runs
            {
                using HttpResponseMessage answer = await first.Client.Http.DeleteAsync($"/api/sweeps/{id}");
                Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
            }

            first.Process.Kill();
        }

        await using InProcessServer second = await InProcessServer.StartAsync(_folder.Path, options => options with { Parallelism = 2 });
        foreach (string id in ids)
        {
            Assert.Equal("cancelled", (await second.Client.WaitForEndAsync(id)).GetProperty("status").GetString());
        }
    }

    [Fact]
    public async Task An_adaptive_sweep_decides_the_same_after_kills_at_any_moment()
    {
        const string Body = """{"dataset": "ioi-generated", "count": 400, "method": "adaptive", "dtype": "float64", "seed": 5}""";
        string undisturbed = await DecidedAsync(_folder["undisturbed"], kills: 0);
        Assert.Equal(undisturbed, await DecidedAsync(_folder["store"], kills: 6));

        async Task<string> DecidedAsync(string store, int kills)
        {
            var random = new Random(6);
            string? id = null;
            for (int kill = 0; kill < kills; kill++)
            {
                using Server killed = await Server.StartAsync(_folder.Path, "--store", store);
                id ??= await killed.Client.StartAsync(Body);
                await Task.Delay(random.Next(100, 900), TestContext.Current.CancellationToken); // anywhere between planning and the end
                killed.Process.Kill();
            }

            await using InProcessServer last = await InProcessServer.StartAsync(_folder.Path, options => options with { OpenStore = () => ArtifactStores.Open(store) });
            JsonElement results = await last.Client.ResultsAsync(id ?? await last.Client.StartAsync(Body));
            output.WriteLine($"{kills} kills: {results.GetProperty("adaptive")}");
            return string.Join('\n', ((string[])["adaptive", "heads"]).Select(name => results.GetProperty(name).GetRawText()));
        }
    }

    [Fact]
    public async Task A_request_that_was_stored_and_never_started_runs()
    {
        string id;
        await using (InProcessServer first = await InProcessServer.StartAsync(_folder.Path))
        {
            id = await first.Client.StartAsync("{}");
            await first.Client.ResultsAsync(id);
        }

        // What a process leaves that dies right after it has stored the request; and what another one stores while a server runs.
        string never = $"n{new string('1', 24)}", meanwhile = $"n{new string('2', 24)}";
        StoreRequest(id, never);
        await using InProcessServer second = await InProcessServer.StartAsync(_folder.Path);
        await second.Client.ResultsAsync(never);
        StoreRequest(id, meanwhile);
        await second.Client.ResultsAsync(meanwhile);

        void StoreRequest(string from, string to)
        {
            Directory.CreateDirectory(_folder[$"store/sweeps/{to}"]);
            string text = File.ReadAllText(_folder[$"store/sweeps/{from}/request.json"]).Replace(from, to, StringComparison.Ordinal);
            File.WriteAllText(_folder[$"store/sweeps/{to}/request.json"], text);
        }
    }

    [Fact]
    public async Task After_twenty_kills_every_sweep_ends_as_it_was_promised()
    {
        LongSweep.WriteModel(_folder["models"]);
        var random = new Random(20);
        var kept = new List<string>();
        var removed = new List<string>();
        for (int kill = 0; kill < 20; kill++)
        {
            using Server server = await Server.StartAsync(_folder.Path, Arguments);
            string id = await server.Client.StartAsync(kill % 2 == 0 ? "{}" : LongSweep.Body(pairs: 4, seed: kill));
            if (kill % 3 == 0)
            {
                string doomed = await server.Client.StartAsync(LongSweep.Body(pairs: 100, seed: kill));
                using HttpResponseMessage answer = await server.Client.Http.DeleteAsync($"/api/sweeps/{doomed}");
                Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
                removed.Add(doomed);
            }

            kept.Add(id);
            await Task.Delay(random.Next(1200));
            server.Process.Kill();
        }

        await using (InProcessServer last = await InProcessServer.StartAsync(_folder.Path, options => options with { Parallelism = 2 }))
        {
            string[] states = await Task.WhenAll(kept.Select(async id => (await last.Client.WaitForEndAsync(id)).GetProperty("status").GetString()!));
            Assert.All(states, state => Assert.Equal("completed", state));
            foreach (string id in removed)
            {
                Assert.Equal("cancelled", (await last.Client.WaitForEndAsync(id)).GetProperty("status").GetString());
            }

            JsonElement undisturbed = await last.Client.ResultsAsync(await last.Client.StartAsync("{}"));
            foreach (string id in kept.Where((_, kill) => kill % 2 == 0))
            {
                Assert.Equal(undisturbed.GetProperty("heads").ToString(), (await last.Client.ResultsAsync(id)).GetProperty("heads").ToString());
            }
        }

        // Nothing of the dead is left over: the last one's start cleared what the processes before it had left half written.
        string[] left = [.. Directory.EnumerateFileSystemEntries(_folder["store/~work"]).Select(entry => Path.GetFileName(entry)).Where(name => name != "lock")];
        output.WriteLine($"20 kills: {kept.Count} sweeps completed, {removed.Count} cancelled, {left.Length} files left half written.");
        Assert.Empty(left);
    }

    public void Dispose() => _folder.Dispose();
}
