using System.Net;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Calls;

/// <summary>A sweep's end is told to whom its request names, where the operator allows that.</summary>
public sealed class CallbackTests : IDisposable
{
    private const string Secret = "only the receivers know it";

    private readonly TemporaryFolder _folder = new();
    private readonly CallbackReceiver _receiver = new();

    [Fact]
    public async Task The_end_of_a_sweep_is_told_signed_and_the_address_is_no_part_of_the_sweep()
    {
        await using InProcessServer server = await StartAsync(_receiver.Origin);
        string id = await server.Client.StartAsync($$"""{"name": "told", "callback": "{{_receiver.Origin}}/sweeps?for=me"}""");
        ReceivedCallback told = Assert.Single(await _receiver.WaitAsync(1));
        Assert.Equal(("/sweeps?for=me", id), (told.Path, told.Sweep));
        Assert.True(told.IsSignedWith(Secret));
        Assert.False(told.IsSignedWith("another secret of as many characters"));
        Assert.Equal(
            ("sweep.ended", id, "completed", "told", "ioi-demo", $"/api/sweeps/{id}"),
            (Text("event"), Text("id"), Text("status"), Text("name"), Text("model"), Text("self")));
        Assert.Equal("completed", (await server.Client.GetAsync(Text("self")!)).GetProperty("status").GetString());

        string failing = await server.Client.StartAsync($$"""{"callback": "{{_receiver.Origin}}/", "pairs": [{"clean": [1, 2], "corrupted": [1], "correct": 3, "incorrect": 4}]}""");
        ReceivedCallback failed = (await _receiver.WaitAsync(2))[1];
        Assert.Equal((failing, "failed"), (failed.Sweep, failed.Json.GetProperty("status").GetString()));
        Assert.NotEmpty(failed.Json.GetProperty("error").GetString()!);
        await UntilNoneIsLeftAsync();
        Assert.Equal(2, _receiver.Received.Count); // each once

        string? Text(string member) => told.Json.GetProperty(member).GetString();
    }

    [Fact]
    public async Task What_did_not_arrive_is_sent_again_also_by_the_next_server_and_no_redirect_is_followed()
    {
        _receiver.Answer = before => before switch { 0 => 302, 1 => 500, _ => 200 };
        string id;
        var secret = new Dictionary<string, string> { ["HEADPATCHING_CALLBACK_SECRET"] = Secret };
        using (Server server = await Server.StartAsync(_folder.Path, secret, ["--store", _folder["store"], "--callback-hosts", "hooks.example.org", _receiver.Origin]))
        {
            id = await server.Client.StartAsync($$"""{"callback": "{{_receiver.Origin}}/once"}""");
            await _receiver.WaitAsync(1);
        }

        await using InProcessServer next = await StartAsync(_receiver.Origin);
        IReadOnlyList<ReceivedCallback> told = await _receiver.WaitAsync(3);
        Assert.All(told, one => Assert.Equal(("/once", id), (one.Path, one.Sweep)));
        await UntilNoneIsLeftAsync();
    }

    [Fact]
    public async Task An_address_that_the_operator_does_not_name_is_refused_before_anything_is_done()
    {
        await using InProcessServer server = await StartAsync("hooks.example.org", "https://other.example.org:8443", "localhost");
        foreach (string refused in (string[])
            [
                _receiver.Origin, "http://hooks.example.org/", "https://hooks.example.org:444/", "https://hooks.example.org.attacker.example/", "https://attacker.example/?hooks.example.org",
                "https://user@hooks.example.org/", "https://other.example.org/", "https://127.0.0.1/", "file:///etc/passwd", "hooks.example.org", "",
            ])
        {
            using HttpResponseMessage answer = await server.Client.PostAsync(JsonSerializer.Serialize(new { callback = refused }));
            Assert.Equal(["callback invalid-option"], (await answer.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
        }

        using HttpResponseMessage taken = await server.Client.PostAsync("""{"callback": "https://hooks.example.org/sweeps", "planOnly": true}""");
        Assert.Equal(HttpStatusCode.OK, taken.StatusCode);
    }

    [Fact]
    public async Task A_name_that_stands_for_a_private_address_is_not_called()
    {
        await using InProcessServer server = await StartAsync($"http://localhost:{new Uri(_receiver.Origin).Port}");
        string id = await server.Client.StartAsync($$"""{"callback": "http://localhost:{{new Uri(_receiver.Origin).Port}}/"}""");
        await server.Client.WaitForEndAsync(id);
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!TestContext.Current.TestOutputHelper!.Output.Contains("no public address", StringComparison.Ordinal))
        {
            await Task.Delay(100, patience.Token);
        }

        Assert.Empty(_receiver.Received);
    }

    [Fact]
    public async Task Without_hosts_no_callback_is_taken_and_with_hosts_there_must_be_a_secret()
    {
        await using (InProcessServer server = await InProcessServer.StartAsync(_folder.Path))
        {
            using HttpResponseMessage answer = await server.Client.PostAsync("""{"callback": "https://hooks.example.org/"}""");
            Assert.Equal(["callback invalid-option"], (await answer.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
        }

        foreach (var (secret, hosts, said) in ((string, string, string)[])
            [("", "hooks.example.org", "HEADPATCHING_CALLBACK_SECRET"), ("short", "hooks.example.org", "at least 16 characters"), (Secret, "*.example.org", "--callback-hosts"), (Secret, "https://a/b", "'https://a/b' is no host")])
        {
            var (exitCode, _, error) = await HeadpatchProcess.RunAsync(
                _folder.Path, new Dictionary<string, string> { ["HEADPATCHING_CALLBACK_SECRET"] = secret }, "serve", "--store", _folder["store"], "--urls", "http://127.0.0.1:0", "--callback-hosts", hosts);
            Assert.Equal(2, exitCode);
            Assert.Contains(said, error, StringComparison.Ordinal);
        }
    }

    private Task<InProcessServer> StartAsync(params string[] hosts) =>
        InProcessServer.StartAsync(_folder.Path, options => options with { CallbackHosts = hosts, CallbackSecret = Secret });

    private async Task UntilNoneIsLeftAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (Directory.Exists(_folder["store/callbacks"]) && Directory.EnumerateFiles(_folder["store/callbacks"]).Any())
        {
            await Task.Delay(50, patience.Token);
        }
    }

    public void Dispose()
    {
        _receiver.Dispose();
        _folder.Dispose();
    }
}
