using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests;

/// <summary>POST /api/series and what follows: one sweep of several models. The checkpoints are the demo model, under two names.</summary>
public sealed class SeriesTests : IAsyncLifetime
{
    private const string Both = """{"models": ["step-2", "step-10"], "name": "training"}""";

    private readonly TemporaryFolder _folder = new();
    private InProcessServer _server = null!;

    public async ValueTask InitializeAsync()
    {
        string demo = Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo");
        foreach (string name in (string[])["step-2", "step-10"])
        {
            string copy = Directory.CreateDirectory(_folder[$"models/{name}"]).FullName;
            foreach (string file in Directory.GetFiles(demo))
            {
                File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
            }
        }

        RandomModelFolder.Write(_folder["models/other"], RandomModelFolder.Config("llama"), seed: 1);
        _server = await InProcessServer.StartAsync(_folder.Path, options => options with { Parallelism = 1 });
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_series_is_accepted_followed_read_and_deleted_with_its_sweeps()
    {
        using HttpResponseMessage accepted = await PostAsync(Both);
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        Assert.NotNull(accepted.Headers.RetryAfter);
        JsonElement answer = await accepted.Content.ReadFromJsonAsync<JsonElement>();
        JsonElement links = answer.GetProperty("links");
        string self = links.GetProperty("self").GetString()!, results = links.GetProperty("results").GetString()!, report = links.GetProperty("report").GetString()!;
        Assert.Equal(self, accepted.Headers.Location!.OriginalString);

        JsonElement status = await EndAsync(self);
        Assert.Equal(("completed", 2, "training", "ioi", "z"), (Text(status, "status"), status.GetProperty("completed").GetInt32(), Text(status, "name"), Text(status, "dataset"), Text(status, "patch")));
        Assert.Equal("Activation patching of z, head by head", Text(status, "title"));
        JsonElement[] models = [.. status.GetProperty("models").EnumerateArray()];
        Assert.Equal([("step-2", "completed"), ("step-10", "completed")], models.Select(model => (Text(model, "model"), Text(model, "status"))));

        // Each is a sweep like any other, and the series' numbers are theirs.
        JsonElement series = await _server.Client.GetAsync(results);
        Assert.Equal([null, "step-2"], series.GetProperty("models").EnumerateArray().Select(model => model.GetProperty("sameAs").GetString()));
        foreach (var (index, model) in models.Index())
        {
            JsonElement sweep = await _server.Client.GetAsync(Text(model, "sweep")!);
            Assert.Equal((Text(model, "sweepId"), Text(model, "model")), (Text(sweep, "id"), Text(sweep, "model")));
            double[] effects = [.. (await _server.Client.GetAsync($"{Text(model, "sweep")}/results")).GetProperty("heads").EnumerateArray().Select(head => head.GetProperty("patchingEffect").GetDouble())];
            Assert.Equal(effects, series.GetProperty("heads").EnumerateArray().Select(head => head.GetProperty("effects")[index].GetDouble()));
        }

        using HttpResponseMessage page = await _server.Client.Http.GetAsync(report);
        Assert.Equal("text/html", page.Content.Headers.ContentType!.MediaType);
        Assert.Contains("<title>Activation patching of z, head by head over 2 models</title>", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using var again = new HttpRequestMessage(HttpMethod.Get, report);
        again.Headers.IfNoneMatch.Add(page.Headers.ETag!);
        using HttpResponseMessage known = await _server.Client.Http.SendAsync(again);
        Assert.Equal((HttpStatusCode.NotModified, page.Headers.ETag), (known.StatusCode, known.Headers.ETag));

        Assert.Equal(status.ToString(), Assert.Single((await _server.Client.GetAsync("/api/series")).GetProperty("series").EnumerateArray()).ToString());
        Assert.Equal("deleted", await RemoveAsync(self));
        foreach (string path in (string[])[self, results, report])
        {
            using HttpResponseMessage gone = await _server.Client.Http.GetAsync(path);
            await gone.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-series");
        }

        Assert.Equal(0, (await _server.Client.GetAsync("/api/sweeps")).GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task The_same_key_is_the_same_series_and_without_one_a_series_is_new_and_runs_nothing()
    {
        string first = await StartAsync(Both, "key");
        await EndAsync(first);
        Assert.Equal(first, await StartAsync("""{"name": "training", "metric": "logit-difference", "models": ["step-2", "step-10"]}""", "key"));
        foreach (string other in (string[])["""{"models": ["step-10", "step-2"], "name": "training"}""", """{"models": ["step-2", "step-10"]}"""])
        {
            using HttpResponseMessage conflict = await PostAsync(other, "key");
            JsonElement problem = await conflict.ReadProblemAsync(HttpStatusCode.Conflict, "idempotency-conflict");
            Assert.Contains($"series {first.Split('/')[^1]}", Text(problem, "detail"), StringComparison.Ordinal);
        }

        Assert.Equal(2, (await _server.Client.GetAsync("/api/sweeps")).GetProperty("total").GetInt32()); // what is refused makes none
        string second = await StartAsync(Both);
        Assert.NotEqual(first, second);
        foreach (JsonElement model in (await EndAsync(second)).GetProperty("models").EnumerateArray())
        {
            JsonElement timings = (await _server.Client.GetAsync($"{Text(model, "sweep")}/results")).GetProperty("timings");
            Assert.Equal((timings.GetProperty("runs").GetInt32(), 0L), (timings.GetProperty("runsReused").GetInt32(), timings.GetProperty("bytesWritten").GetInt64()));
        }

        JsonElement newest = await _server.Client.GetAsync("/api/series?limit=1"), next = await _server.Client.GetAsync(Text(newest, "next")!);
        Assert.Equal(2, newest.GetProperty("total").GetInt32());
        Assert.Equal([second, first], ((JsonElement[])[newest, next]).Select(page => Text(page.GetProperty("series")[0].GetProperty("links"), "self")!));
        Assert.False(next.TryGetProperty("next", out _));
    }

    [Fact]
    public async Task A_series_has_no_result_while_a_sweep_of_it_has_none_and_the_same_request_makes_good_what_was_deleted()
    {
        string self = await StartAsync(Both, "key");
        JsonElement status = await EndAsync(self);
        using (HttpResponseMessage deleted = await _server.Client.Http.DeleteAsync(Text(status.GetProperty("models")[1], "sweep")))
        {
            Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        }

        status = await _server.Client.GetAsync(self);
        Assert.Equal(("damaged", 1), (Text(status, "status"), status.GetProperty("completed").GetInt32()));
        Assert.False(status.GetProperty("models")[1].TryGetProperty("status", out _));
        using (HttpResponseMessage none = await _server.Client.Http.GetAsync($"{self}/report"))
        {
            JsonElement problem = await none.ReadProblemAsync(HttpStatusCode.Conflict, "sweep-damaged");
            Assert.Contains("step-10 (deleted)", Text(problem, "detail"), StringComparison.Ordinal);
        }

        Assert.Equal(self, await StartAsync(Both, "key"));
        Assert.Equal("completed", Text(await EndAsync(self), "status"));

        string failing = await StartAsync("""{"models": ["step-2", "step-10"], "pairs": [{"clean": [1, 2], "corrupted": [1], "correct": 3, "incorrect": 4}]}""");
        status = await EndAsync(failing);
        Assert.Equal("failed", Text(status, "status"));
        Assert.Contains("pairs[0]", Text(status.GetProperty("models")[0], "error"), StringComparison.Ordinal);
        using HttpResponseMessage failed = await _server.Client.Http.GetAsync($"{failing}/results");
        await failed.ReadProblemAsync(HttpStatusCode.Conflict, "sweep-failed");
    }

    public static TheoryData<string, string[]> BadBodies => new()
    {
        { "{}", ["models missing"] },
        { """{"models": "step-2"}""", ["models malformed"] },
        { """{"models": ["step-2"]}""", ["models missing"] },
        { $$"""{"models": [{{string.Join(", ", Enumerable.Range(0, 101).Select(index => $"\"m{index}\""))}}]}""", ["models too-large"] },
        { """{"models": ["step-2", "other"]}""", ["models[1] out-of-range"] },
        { """{"models": ["step-2", "step-10"], "planOnly": true}""", ["planOnly unknown-property"] },
        {
            """{"models": ["nowhere", "step-2", 5, "step-2", "../step-2"], "model": "step-2", "patch": "w", "threshold": -1, "count": 2, "callback": "https://example.org"}""",
            [
                "models[2] malformed", "model unknown-property", "patch invalid-option", "models[0] unknown-model", "models[3] invalid-option", "models[4] unknown-model",
                "count invalid-option", "threshold invalid-option", "callback invalid-option",
            ]
        },
    };

    [Theory]
    [MemberData(nameof(BadBodies))]
    public async Task Every_fault_of_a_request_and_of_every_model_is_said_at_once_and_nothing_is_swept(string body, string[] faults)
    {
        using HttpResponseMessage refused = await PostAsync(body);
        JsonElement problem = await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
        Assert.Equal(faults, problem.Faults());
        Assert.Equal(0, (await _server.Client.GetAsync("/api/sweeps")).GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task What_there_is_not_and_what_cannot_be_asked_are_problems()
    {
        foreach (string id in (string[])["n000000000000000000000000", "..%2Fsecrets", "x"])
        {
            using HttpResponseMessage unknown = await _server.Client.Http.GetAsync($"/api/series/{id}");
            await unknown.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-series");
            using HttpResponseMessage kept = await _server.Client.Http.DeleteAsync($"/api/series/{id}");
            await kept.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-series");
        }

        foreach (var (query, fault) in ((string, string)[])[("limit=101", "limit invalid-option"), ("page=2", "page unknown-property"), ("continuationToken=x", "continuationToken invalid-option")])
        {
            using HttpResponseMessage refused = await _server.Client.Http.GetAsync($"/api/series?{query}");
            Assert.Equal([fault], (await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
        }

        using HttpResponseMessage single = await _server.Client.PostAsync(Both);
        JsonElement problem = await single.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
        Assert.Contains("POST /api/series", problem.GetProperty("errors")[0].GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_that_would_be_stored_too_often_is_refused()
    {
        string pair = $$"""{"clean": [{{string.Join(",", Enumerable.Repeat(1, 2000))}}], "corrupted": [1], "correct": 1, "incorrect": 2}""";
        string body = $$"""{"models": [{{string.Join(",", Enumerable.Range(0, 100).Select(index => $"\"m{index}\""))}}], "pairs": [{{string.Join(",", Enumerable.Repeat(pair, 200))}}]}""";
        using HttpResponseMessage refused = await PostAsync(body);
        JsonElement fault = (await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).GetProperty("errors")[0];
        Assert.Equal(("models", "too-large"), (Text(fault, "path"), Text(fault, "kind")));
        Assert.Contains("pairsFile", Text(fault, "message"), StringComparison.Ordinal);
    }

    private static string? Text(JsonElement element, string property) => element.GetProperty(property).GetString();

    private async Task<HttpResponseMessage> PostAsync(string body, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/series") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        return await _server.Client.Http.SendAsync(request);
    }

    private async Task<string> StartAsync(string body, string? key = null)
    {
        using HttpResponseMessage accepted = await PostAsync(body, key);
        JsonElement answer = await accepted.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(accepted.StatusCode == HttpStatusCode.Accepted, answer.ToString());
        return Text(answer.GetProperty("links"), "self")!;
    }

    private async Task<JsonElement> EndAsync(string self)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        while (true)
        {
            JsonElement status = await _server.Client.GetAsync(self);
            if (Text(status, "status") is not ("queued" or "running"))
            {
                return status;
            }

            await Task.Delay(50, patience.Token);
        }
    }

    private async Task<string?> RemoveAsync(string self)
    {
        using HttpResponseMessage answer = await _server.Client.Http.DeleteAsync(self);
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        return Text(await answer.Content.ReadFromJsonAsync<JsonElement>(), "removal");
    }
}
