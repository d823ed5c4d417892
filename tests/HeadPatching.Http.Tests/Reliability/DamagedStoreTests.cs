using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Reliability;

/// <summary>Files of a store that cannot be read: each is that sweep's trouble alone, said by name.</summary>
public sealed class DamagedStoreTests : IDisposable
{
    // As a file that its reader may not open, which no test that runs as root can have.
    private const string AFolderInItsPlace = "folder";

    private readonly TemporaryFolder _folder = new();

    /// <summary>What can become of a sweep's files: the file, and what is in it instead; or a change of the JSON.</summary>
    private static readonly (string File, Func<JsonObject, string> Content)[] Kinds =
    [
        ("status.json", _ => ""),
        ("status.json", _ => "{"),
        ("status.json", _ => "null"),
        ("status.json", _ => "[]"),
        ("status.json", _ => "\0\0\0\0"),
        ("status.json", status => status.ToJsonString()[..80]),
        ("status.json", status => With(status, "status", "pondering")),
        ("status.json", status => With(status, "patch", "soul")),
        ("status.json", status => With(status, "schemaVersion", 99)),
        ("status.json", status => With(status, "model", null)),
        ("status.json", status => With(status, "progress", null)),
        ("status.json", status => With(status, "createdAt", "yesterday")),
        ("status.json", _ => AFolderInItsPlace),
        ("request.json", _ => ""),
        ("request.json", _ => AFolderInItsPlace),
        ("request.json", request => request.ToJsonString()[..60]),
        ("request.json", request => With(request, "request", null)),
        ("request.json", request => With(request, "schemaVersion", 99)),
        ("request.json", request => request.ToJsonString().Replace("\"z\"", "\"soul\"", StringComparison.Ordinal)),
    ];

    [Fact]
    public async Task A_damaged_sweep_is_shown_as_such_by_its_files_name_and_harms_no_other()
    {
        string good;
        await using (InProcessServer first = await InProcessServer.StartAsync(_folder.Path))
        {
            good = await first.Client.StartAsync("{}");
            await first.Client.ResultsAsync(good);
        }

        var damaged = Kinds.Select((kind, index) => (kind.File, Id: Damage(good, index, kind.File, kind.Content))).ToList();
        using Server server = await Server.StartAsync(_folder.Path, "--store", _folder["store"]);
        foreach (var (file, id) in damaged)
        {
            JsonElement status = await server.Client.WaitAsync(id, status => status.GetProperty("status").GetString() is not ("queued" or "running"));
            Assert.True(status.GetProperty("status").GetString() == "damaged", status.ToString());
            Assert.Contains($"sweeps/{id}/{file}", status.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
            using HttpResponseMessage none = await server.Client.Http.GetAsync($"/api/sweeps/{id}/results");
            await none.ReadProblemAsync(HttpStatusCode.Conflict, "sweep-damaged");
        }

        JsonElement[] list = [.. (await server.Client.GetAsync("/api/sweeps")).GetProperty("sweeps").EnumerateArray()];
        Assert.Equal(damaged.Select(sweep => sweep.Id).Append(good).Order(), list.Select(sweep => sweep.GetProperty("id").GetString()!).Order());
        Assert.All(list, sweep => Assert.Equal(sweep.GetProperty("id").GetString() == good ? "completed" : "damaged", sweep.GetProperty("status").GetString()));

        // Everything else works.
        await server.Client.ResultsAsync(good);
        await server.Client.ResultsAsync(await server.Client.StartAsync("{}"));

        foreach (var (_, id) in damaged)
        {
            using HttpResponseMessage removed = await server.Client.Http.DeleteAsync($"/api/sweeps/{id}");
            Assert.Equal(HttpStatusCode.Accepted, removed.StatusCode);
            Assert.False(Directory.Exists(_folder[$"store/sweeps/{id}"]));
        }

        Assert.Equal(2, (await server.Client.GetAsync("/api/sweeps")).GetProperty("sweeps").GetArrayLength());

        // One line of the log for each, which names the file.
        string[] log = server.Process.Output.Split('\n');
        foreach (var (file, id) in damaged)
        {
            Assert.Single(log, line => line.Contains($"sweeps/{id}/{file}", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task An_idempotency_key_whose_sweep_is_damaged_says_so_and_works_again_once_it_is_deleted()
    {
        await using InProcessServer server = await InProcessServer.StartAsync(_folder.Path);
        string id = await server.Client.StartAsync("{}", "key");
        await server.Client.ResultsAsync(id);
        File.WriteAllText(_folder[$"store/sweeps/{id}/request.json"], "{\"sweepId\":");
        using (HttpResponseMessage refused = await server.Client.PostAsync("{}", "key"))
        {
            JsonElement problem = await refused.ReadProblemAsync(HttpStatusCode.Conflict, "sweep-damaged");
            Assert.Contains($"sweeps/{id}/request.json", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        }

        using (HttpResponseMessage removed = await server.Client.Http.DeleteAsync($"/api/sweeps/{id}"))
        {
            Assert.Equal(HttpStatusCode.Accepted, removed.StatusCode);
        }

        Assert.Equal(id, await server.Client.StartAsync("{}", "key"));
        await server.Client.ResultsAsync(id);
    }

    [Fact]
    public async Task Leftovers_of_a_deletion_that_was_cut_short_go_at_the_next_start()
    {
        string id;
        await using (InProcessServer first = await InProcessServer.StartAsync(_folder.Path))
        {
            id = await first.Client.StartAsync("{}");
            await first.Client.ResultsAsync(id);
        }

        File.Delete(_folder[$"store/sweeps/{id}/request.json"]);
        File.Delete(_folder[$"store/sweeps/{id}/status.json"]);
        await using InProcessServer server = await InProcessServer.StartAsync(_folder.Path);
        Assert.Equal(0, (await server.Client.GetAsync("/api/sweeps")).GetProperty("sweeps").GetArrayLength());
        for (int looks = 0; Directory.Exists(_folder[$"store/sweeps/{id}"]); looks++)
        {
            Assert.InRange(looks, 0, 200);
            await Task.Delay(100);
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A copy of a good sweep with one file damaged; where it is the request's, the sweep has not ended, so that it is needed.</summary>
    private string Damage(string good, int index, string file, Func<JsonObject, string> content)
    {
        string id = $"n{index:x24}";
        Directory.CreateDirectory(_folder[$"store/sweeps/{id}"]);
        foreach (string copied in (string[])["request.json", "status.json"])
        {
            File.WriteAllText(PathOf(copied), File.ReadAllText(_folder[$"store/sweeps/{good}/{copied}"]).Replace(good, id, StringComparison.Ordinal));
        }

        if (file == "request.json")
        {
            JsonObject status = Read("status.json");
            status.Remove("finishedAt");
            File.WriteAllText(PathOf("status.json"), With(status, "status", "running"));
        }

        string instead = content(Read(file));
        if (instead == AFolderInItsPlace)
        {
            File.Delete(PathOf(file));
            Directory.CreateDirectory(PathOf(file));
        }
        else
        {
            File.WriteAllText(PathOf(file), instead);
        }

        return id;

        string PathOf(string name) => _folder[$"store/sweeps/{id}/{name}"];

        JsonObject Read(string name) => JsonNode.Parse(File.ReadAllText(PathOf(name)))!.AsObject();
    }

    private static string With(JsonObject json, string member, JsonNode? value)
    {
        json[member] = value;
        return json.ToJsonString();
    }
}
