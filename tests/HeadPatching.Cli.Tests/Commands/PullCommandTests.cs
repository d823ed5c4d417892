using System.Text;
using System.Text.Json;
using HeadPatching.Testing;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary><c>headpatch model pull</c> from a hub on this machine that misbehaves in all the ways that hubs and networks do.</summary>
public sealed class PullCommandTests : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private HubServer _hub = null!;

    public async ValueTask InitializeAsync()
    {
        RandomModelFolder.Write(_folder["source"], layers: 2, heads: 2, width: 64, vocabulary: 200, context: 16, seed: 1);
        _hub = await HubServer.StartAsync(_folder["source"]);
        _hub.Files["vocab.json"] = Encoding.UTF8.GetBytes("{}");
        _hub.Files["pytorch_model.bin"] = [1, 2, 3];
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_repository_is_fetched_and_the_token_goes_to_the_hub_and_no_further()
    {
        var (exitCode, output, error) = await PullWithTokenAsync();
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Contains("org/tiny is in out: 3 files", output, StringComparison.Ordinal);
        AssertWhole("config.json", "model.safetensors", "vocab.json");
        Assert.All(_hub.Requests, request => Assert.Equal(request.Where == "hub", request.Token));
        Assert.Contains(_hub.Requests, request => request.Where == "storage");

        // Again: what is there and right is not downloaded again.
        int before = _hub.Requests.Count(request => request.Where == "storage");
        Assert.Equal(0, (await PullWithTokenAsync()).ExitCode);
        Assert.Equal(before, _hub.Requests.Count(request => request.Where == "storage"));
        AssertWhole("config.json", "model.safetensors", "vocab.json");
    }

    [Fact]
    public async Task Shards_are_fetched_as_the_index_names_them_and_an_index_that_leads_elsewhere_is_refused()
    {
        _hub.Files.TryRemove("model.safetensors", out byte[]? weights);
        _hub.Files["model-00001-of-00002.safetensors"] = weights!;
        _hub.Files["model-00002-of-00002.safetensors"] = weights![..^7];
        SetIndex("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
        var (exitCode, _, error) = await PullAsync();
        Assert.Equal(0, exitCode);
        Assert.Contains("It cannot be swept", error, StringComparison.Ordinal); // a shard is no whole safetensors file
        AssertWhole("config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", "vocab.json");

        Directory.Delete(_folder["out"], recursive: true);
        SetIndex("../model.safetensors");
        (exitCode, _, error) = await PullAsync();
        Assert.Equal(2, exitCode);
        Assert.Contains("model.safetensors.index.json", error, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder["out/config.json"]));

        void SetIndex(params string[] shards) => _hub.Files["model.safetensors.index.json"] = JsonSerializer.SerializeToUtf8Bytes(
            new { weight_map = shards.ToDictionary(shard => "tensor of " + shard, shard => shard) });
    }

    [Theory]
    [InlineData(5000)]
    [InlineData(201)]
    public async Task A_shard_with_a_name_that_no_file_can_have_is_refused_in_few_words(int length)
    {
        _hub.Files.TryRemove("model.safetensors", out _);
        _hub.Files["model.safetensors.index.json"] = JsonSerializer.SerializeToUtf8Bytes(
            new { weight_map = new Dictionary<string, string> { ["wte.weight"] = new string('a', length - ".safetensors".Length) + ".safetensors" } });
        var (exitCode, _, error) = await PullAsync();
        Assert.Equal(2, exitCode);
        Assert.Contains("with names of at most 200 characters", error, StringComparison.Ordinal);
        Assert.InRange(error.Length, 50, 500);
    }

    /// <summary>vocab.json and merges.txt of one model beside the tokenizer.json of another would be read as the other's.</summary>
    [Theory]
    [InlineData("merges.txt")]
    [InlineData("tokenizer.json")]
    public async Task A_folder_with_another_models_tokenizer_is_refused_before_anything_is_fetched(string other)
    {
        Directory.CreateDirectory(_folder["out"]);
        _folder.Write("out/" + other, "of another model");
        var (exitCode, _, error) = await PullAsync();
        Assert.Equal(2, exitCode);
        Assert.Contains($"holds what the repository does not have, and is another model's: {other}. Name an empty folder.", error, StringComparison.Ordinal);
        Assert.Equal([other], Directory.GetFiles(_folder["out"]).Select(Path.GetFileName));
    }

    [Fact]
    public async Task What_has_no_end_is_not_fetched()
    {
        _hub.Misbehave = (context, file) =>
        {
            if (file != "model.safetensors")
            {
                return false;
            }

            context.Response.StatusCode = 200; // and no length
            return true;
        };
        var (exitCode, _, error) = await PullAsync();
        Assert.Equal(2, exitCode);
        Assert.Contains("The hub does not say how long model.safetensors is", error, StringComparison.Ordinal);

        _hub.Misbehave = (context, file) =>
        {
            if (file == "vocab.json")
            {
                context.Response.StatusCode = 200;
                context.Response.ContentLength = HttpMethods.IsHead(context.Request.Method) ? 300L << 20 : null;
            }

            return file == "vocab.json";
        };
        (exitCode, _, error) = await PullAsync();
        Assert.Equal(2, exitCode);
        Assert.Contains("vocab.json has 314572800 bytes, says the hub", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_text_without_a_stated_length_is_fetched_up_to_a_bound()
    {
        long sent = 0;
        byte[] megabyte = [.. Enumerable.Repeat((byte)' ', 1 << 20)];
        _hub.Respond = async (context, file) =>
        {
            if (file != "vocab.json")
            {
                return false;
            }

            context.Response.StatusCode = 200;
            while (HttpMethods.IsGet(context.Request.Method) && !context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.Body.WriteAsync(megabyte);
                sent += megabyte.Length;
                if (sent > 1L << 28)
                {
                    await Task.Delay(20); // on a busy machine Kestrel is told late that the client has gone, and takes what is written until then
                }
            }

            return true;
        };
        var (exitCode, _, error) = await PullAsync();
        Assert.Equal(2, exitCode);
        Assert.Contains("vocab.json: What was downloaded has more than 268435456 bytes", error, StringComparison.Ordinal);
        Assert.InRange(sent, 1L << 28, 3L << 28);
        Assert.False(File.Exists(_folder["out/vocab.json.part"]));
    }

    [Fact]
    public async Task Dropped_connections_are_gone_on_from_where_they_dropped()
    {
        int length = _hub.Files["model.safetensors"].Length;
        _hub.DropAfter = (length / 4) + 1;
        var (exitCode, _, error) = await PullAsync();
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        AssertWhole("config.json", "model.safetensors", "vocab.json");
        string[] ranges = [.. _hub.Requests.Where(request => request.Where == "storage").Select(request => request.Range)];
        Assert.InRange(ranges.Length, 3, 5);
        Assert.Equal("", ranges[0]);
        Assert.All(ranges[1..], range => Assert.StartsWith("bytes=", range, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_pull_that_was_killed_goes_on_from_its_part_and_a_part_of_something_else_is_thrown_away()
    {
        byte[] weights = _hub.Files["model.safetensors"];
        Directory.CreateDirectory(_folder["out"]);
        _folder.Write("out/model.safetensors.part", weights[..5000]);
        Assert.Equal(0, (await PullAsync()).ExitCode);
        Assert.Equal("bytes=5000-", Assert.Single(_hub.Requests, request => request.Where == "storage").Range);
        AssertWhole("config.json", "model.safetensors", "vocab.json");

        Directory.Delete(_folder["out"], recursive: true);
        Directory.CreateDirectory(_folder["out"]);
        _folder.Write("out/model.safetensors.part", new byte[5000]);
        Assert.Equal(0, (await PullAsync()).ExitCode);
        AssertWhole("config.json", "model.safetensors", "vocab.json");
    }

    /// <summary>Large files come by several requests at a time, each for a range, and are there in order: a pull that was killed has their beginning.</summary>
    [Theory]
    [InlineData(0, false)]
    [InlineData(5_000_000, false)]
    [InlineData(5_000_000, true)]
    public async Task A_large_file_comes_in_pieces_at_once_and_goes_on_where_it_was_killed(int before, bool drops)
    {
        byte[] large = new byte[150 << 20];
        new Random(1).NextBytes(large);
        _hub.Files["model.safetensors"] = large;
        _hub.DropAfter = drops ? 7 << 20 : null;
        if (before > 0)
        {
            Directory.CreateDirectory(_folder["out"]);
            _folder.Write("out/model.safetensors.part", large[..before]);
        }

        Assert.Equal(0, (await PullAsync()).ExitCode);
        AssertWhole("config.json", "model.safetensors", "vocab.json");
        long[][] ranges = [.. _hub.Requests.Where(request => request.Where == "storage").Select(request => request.Range["bytes=".Length..].Split('-').Select(long.Parse).ToArray())];
        Assert.Equal(before, ranges.Min(range => range[0]));
        Assert.Equal(large.Length - 1, ranges.Max(range => range[1]));
        Assert.All(ranges, range => Assert.InRange(range[1] - range[0], 0, (16 << 20) - 1));
        Assert.Equal(drops, ranges.Sum(range => range[1] - range[0] + 1) > large.Length - before); // nothing twice, but what was dropped
        Assert.InRange(_hub.MostAtOnce, 2, 8);
    }

    [Fact]
    public async Task A_server_that_sends_no_ranges_sends_the_whole_file()
    {
        byte[] large = new byte[20 << 20];
        new Random(1).NextBytes(large);
        _hub.Files["model.safetensors"] = large;
        _hub.RefusesRanges = true;
        Assert.Equal(0, (await PullAsync()).ExitCode);
        AssertWhole("config.json", "model.safetensors", "vocab.json");
    }

    [Theory]
    [InlineData("shorter", "bytes")]
    [InlineData("longer", "bytes")]
    [InlineData("other", "SHA-256")]
    public async Task Content_of_a_wrong_length_or_hash_is_refused_and_leaves_no_model(string how, string why)
    {
        _hub.Content = content => how switch
        {
            "shorter" => content[..^10],
            "longer" => [.. content, 1, 2, 3],
            _ => [.. content[..^1], (byte)(content[^1] ^ 1)],
        };
        var (exitCode, _, error) = await PullAsync();
        Assert.Equal(2, exitCode);
        Assert.StartsWith("model.safetensors: ", error, StringComparison.Ordinal);
        Assert.Contains(why, error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder["out"]));
    }

    [Fact]
    public async Task A_busy_hub_is_asked_again_after_as_long_as_it_says()
    {
        int busy = 2;
        _hub.Misbehave = (context, file) =>
        {
            if (file != "model.safetensors" || Interlocked.Decrement(ref busy) < 0)
            {
                return false;
            }

            context.Response.StatusCode = 429;
            context.Response.Headers.RetryAfter = "1";
            return true;
        };
        Assert.Equal(0, (await PullAsync()).ExitCode);
        AssertWhole("config.json", "model.safetensors", "vocab.json");

        _hub.Misbehave = (context, _) =>
        {
            context.Response.StatusCode = 429;
            context.Response.Headers.RetryAfter = "86400";
            return true;
        };
        var (exitCode, _, error) = await PullWithTokenAsync();
        Assert.Equal(1, exitCode);
        Assert.Contains("86400 seconds", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/org/tiny/resolve/main/config.json", "more than 10 times")]
    [InlineData("http://example.com/config.json", "not https")]
    public async Task A_redirect_in_circles_or_to_plain_http_elsewhere_is_not_followed(string location, string why)
    {
        _hub.Misbehave = (context, _) =>
        {
            context.Response.Redirect(location);
            return HttpMethods.IsGet(context.Request.Method) || location[0] == '/' || Head(context);
        };
        var (exitCode, _, error) = await PullWithTokenAsync();
        Assert.Equal(2, exitCode);
        Assert.Contains(why, error, StringComparison.Ordinal);
        Assert.DoesNotContain("hf_secret", error, StringComparison.Ordinal);

        static bool Head(HttpContext context)
        {
            context.Response.Headers["X-Linked-Size"] = "10";
            return true;
        }
    }

    [Fact]
    public async Task What_is_not_there_or_not_for_everyone_is_bad_input_that_says_what_to_do()
    {
        var (exitCode, _, error) = await PullWithTokenAsync(token: "", "org/other");
        Assert.Equal(2, exitCode);
        Assert.Contains("HF_TOKEN", error, StringComparison.Ordinal);

        _hub.Misbehave = (context, _) =>
        {
            context.Response.StatusCode = 403;
            context.Response.Headers["X-Error-Code"] = "GatedRepo";
            return true;
        };
        (exitCode, _, error) = await PullWithTokenAsync();
        Assert.Equal(2, exitCode);
        Assert.Contains("gated", error, StringComparison.Ordinal);

        _hub.Misbehave = (_, _) => false;
        _hub.Files.TryRemove("model.safetensors", out _);
        (exitCode, _, error) = await PullWithTokenAsync();
        Assert.Equal(2, exitCode);
        Assert.Contains("no safetensors", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["out"]));
    }

    [Theory]
    [InlineData("http://example.com", "org/tiny", "--hub")]
    [InlineData("https://user:word@example.com", "org/tiny", "--hub")]
    [InlineData("https://example.com", "../../etc", "HUB_ID")]
    [InlineData("https://example.com", "a/b/c", "HUB_ID")]
    public async Task An_address_or_id_that_cannot_be_is_refused_before_anything_is_asked(string hub, string id, string where)
    {
        var (exitCode, _, error) = await Headpatch.RunAsync(_folder.Path, "model", "pull", id, "--to", "out", "--hub", hub);
        Assert.Equal(2, exitCode);
        Assert.StartsWith(where + ":", error, StringComparison.Ordinal);
    }

    private Task<(int ExitCode, string Output, string Error)> PullAsync() => Headpatch.RunAsync(_folder.Path, Arguments("org/tiny"));

    private Task<(int ExitCode, string Output, string Error)> PullWithTokenAsync(string token = "hf_secret", string id = "org/tiny") =>
        HeadpatchProcess.RunAsync(_folder.Path, new Dictionary<string, string> { ["HF_TOKEN"] = token }, Arguments(id));

    private string[] Arguments(string id) => ["model", "pull", id, "--to", "out", "--hub", _hub.Address, "--quiet"];

    private void AssertWhole(params string[] files)
    {
        Assert.Equal(files, Directory.GetFiles(_folder["out"]).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));
        Assert.All(files, file => Assert.Equal(_hub.Files[file], File.ReadAllBytes(_folder[Path.Combine("out", file)])));
    }
}
