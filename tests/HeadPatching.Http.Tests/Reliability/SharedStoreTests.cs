using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Reliability;

/// <summary>Several servers on one store: one owner a sweep, no status that goes back, and a DELETE that reaches the sweep wherever it runs.</summary>
public sealed class SharedStoreTests(ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string[] Arguments => ["--store", _folder["store"], "--models", _folder["models"], "--parallelism", "2"];

    [Fact]
    public async Task A_second_server_on_the_same_port_says_so_and_touches_no_sweep()
    {
        LongSweep.WriteModel(_folder["models"]);
        await using InProcessServer first = await InProcessServer.StartAsync(_folder.Path, options => options with { Parallelism = 2 });
        string id = await first.Client.StartAsync(LongSweep.Body(pairs: 40, seed: 1));
        await first.Client.WaitAsync(id, status => Tasks(status) >= 1);
        var others = Enumerable.Range(0, 3)
            .Select(_ => HeadpatchProcess.RunAsync(_folder.Path, ["serve", "--urls", first.Address.GetLeftPart(UriPartial.Authority), .. Arguments])).ToList();
        foreach (var (exitCode, standardOutput, error) in await Task.WhenAll(others))
        {
            Assert.Equal(2, exitCode);
            Assert.StartsWith("--urls: ", Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)), StringComparison.Ordinal);
            Assert.DoesNotContain("go on", standardOutput, StringComparison.Ordinal);
        }

        JsonElement ended = await first.Client.WaitForEndAsync(id);
        Assert.Equal("completed", ended.GetProperty("status").GetString());
        Assert.Equal(0, ended.GetProperty("progress").GetProperty("tasksReused").GetInt32());
        await AssertStaysAsync(first.Client, id, "completed");
        Assert.Equal("completed", StoredStatus(id));
    }

    [Fact]
    public async Task Two_servers_share_the_sweeps_of_one_store_and_each_stops_the_others()
    {
        LongSweep.WriteModel(_folder["models"]);
        using Server one = await Server.StartAsync(_folder.Path, Arguments);
        await using InProcessServer other = await InProcessServer.StartAsync(_folder.Path, options => options with { Parallelism = 2 });
        string atOne = await one.Client.StartAsync(LongSweep.Body(pairs: 300, seed: 2)), atOther = await other.Client.StartAsync(LongSweep.Body(pairs: 300, seed: 3));
        string short1 = await one.Client.StartAsync("{}"), short2 = await other.Client.StartAsync("{}");
        await one.Client.WaitAsync(atOne, status => Tasks(status) >= 1);
        await other.Client.WaitAsync(atOther, status => Tasks(status) >= 1);

        // Each sees all, and a sweep is the same at both.
        foreach (SweepApiClient client in (SweepApiClient[])[one.Client, other.Client])
        {
            JsonElement[] listed = [.. (await client.GetAsync("/api/sweeps")).GetProperty("sweeps").EnumerateArray()];
            Assert.Equal(((string[])[atOne, atOther, short1, short2]).Order(), listed.Select(sweep => sweep.GetProperty("id").GetString()!).Order());
        }

        foreach (var (client, id) in ((SweepApiClient, string)[])[(other.Client, atOne), (one.Client, atOther)])
        {
            var stopwatch = System.Diagnostics.Stopwatch.StartNew();
            Assert.Equal("cancelling", await RemoveAsync(client, id));
            Assert.Equal("cancelled", (await client.WaitForEndAsync(id)).GetProperty("status").GetString());
            output.WriteLine($"Cancelled through the other server in {stopwatch.Elapsed.TotalSeconds:F1} s.");
            Assert.InRange(stopwatch.Elapsed.TotalSeconds, 0, 15);
        }

        await Task.WhenAll(
            from client in (SweepApiClient[])[one.Client, other.Client]
            from id in (string[])[atOne, atOther]
            select AssertStaysAsync(client, id, "cancelled"));
        foreach (SweepApiClient client in (SweepApiClient[])[one.Client, other.Client])
        {
            Assert.Equal("completed", (await client.WaitForEndAsync(short1)).GetProperty("status").GetString());
            Assert.Equal("completed", (await client.WaitForEndAsync(short2)).GetProperty("status").GetString());
        }

        // And deletes them: nothing of them stays, and neither server brings anything back.
        Assert.Equal("deleted", await RemoveAsync(other.Client, atOne));
        Assert.Equal("deleted", await RemoveAsync(one.Client, atOther));
        Assert.Equal("deleted", await RemoveAsync(other.Client, short1));
        await Task.Delay(TimeSpan.FromSeconds(4));
        Assert.Equal([short2], Directory.EnumerateDirectories(_folder["store/sweeps"]).Select(folder => Path.GetFileName(folder)!));
        using HttpResponseMessage gone = await one.Client.Http.GetAsync($"/api/sweeps/{atOne}");
        await gone.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-sweep");
    }

    [Fact]
    public async Task A_sweep_whose_server_was_killed_goes_on_at_the_other_which_did_no_work_twice()
    {
        LongSweep.WriteModel(_folder["models"]);
        using Server one = await Server.StartAsync(_folder.Path, Arguments);
        await using InProcessServer other = await InProcessServer.StartAsync(_folder.Path, options => options with { Parallelism = 2 });
        string id = await one.Client.StartAsync(LongSweep.Body(pairs: 60, seed: 4));
        await one.Client.WaitAsync(id, status => Tasks(status) >= 4);
        JsonElement elsewhere = await other.Client.WaitAsync(id, status => Tasks(status) >= 4); // followed from the other server
        Assert.Equal("running", elsewhere.GetProperty("status").GetString());
        one.Process.Kill();
        var stopwatch = System.Diagnostics.Stopwatch.StartNew();
        await other.Client.WaitAsync(id, status => status.GetProperty("progress").GetProperty("tasksReused").GetInt32() > 0);
        output.WriteLine($"Taken up by the other server {stopwatch.Elapsed.TotalSeconds:F1} s after the kill.");
        JsonElement ended = await other.Client.WaitForEndAsync(id);
        Assert.Equal("completed", ended.GetProperty("status").GetString());
        Assert.InRange(ended.GetProperty("progress").GetProperty("tasksReused").GetInt32(), 4, int.MaxValue);
    }

    [Fact]
    public async Task A_server_that_stood_still_while_another_took_its_sweep_over_writes_nothing_over_the_others_work()
    {
        LongSweep.WriteModel(_folder["models"]);
        using Server one = await Server.StartAsync(_folder.Path, Arguments);
        await using InProcessServer other = await InProcessServer.StartAsync(_folder.Path, options => options with { Parallelism = 2 });
        string id = await one.Client.StartAsync(LongSweep.Body(pairs: 40, seed: 5));
        await one.Client.WaitAsync(id, status => Tasks(status) >= 4);
        one.Process.Signal("STOP");
        JsonElement ended = await other.Client.WaitForEndAsync(id);
        Assert.Equal("completed", ended.GetProperty("status").GetString());
        Assert.Equal("deleted", await RemoveAsync(other.Client, id));
        one.Process.Signal("CONT");
        await Task.Delay(TimeSpan.FromSeconds(8));
        using HttpResponseMessage gone = await other.Client.Http.GetAsync($"/api/sweeps/{id}");
        await gone.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-sweep");
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder["store/sweeps"]));

        // It is well after all.
        Assert.Equal("completed", (await one.Client.WaitForEndAsync(await one.Client.StartAsync("{}"))).GetProperty("status").GetString());
    }

    public void Dispose() => _folder.Dispose();

    private static int Tasks(JsonElement status) => status.GetProperty("progress").GetProperty("tasksDone").GetInt32();

    private static async Task<string?> RemoveAsync(SweepApiClient client, string id)
    {
        using HttpResponseMessage removed = await client.Http.DeleteAsync($"/api/sweeps/{id}");
        Assert.Equal(HttpStatusCode.Accepted, removed.StatusCode);
        return (await removed.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("removal").GetString();
    }

    /// <summary>A state that is final is so a while later, too.</summary>
    private static async Task AssertStaysAsync(SweepApiClient client, string id, string state)
    {
        for (int looks = 0; looks < 8; looks++)
        {
            Assert.Equal(state, (await client.GetAsync($"/api/sweeps/{id}")).GetProperty("status").GetString());
            await Task.Delay(250);
        }
    }

    private string? StoredStatus(string id) =>
        JsonDocument.Parse(File.ReadAllText(_folder[$"store/sweeps/{id}/status.json"])).RootElement.GetProperty("status").GetString();
}
