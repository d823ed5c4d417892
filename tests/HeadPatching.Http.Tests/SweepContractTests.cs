using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests;

/// <summary>Every row of the design's table, on the demo model.</summary>
[Collection<SharedServer>]
public sealed class SweepContractTests(ApiFixture api)
{
    private const string UnequalPair =
        """{"pairs": [{"clean": "When Mary and John went to the store, John gave a drink to", "corrupted": "When Mary went", "correct": " Mary", "incorrect": " John"}]}""";

    [Fact]
    public async Task A_sweep_is_accepted_followed_read_and_deleted()
    {
        using HttpResponseMessage accepted = await api.Client.PostAsync("{}");
        JsonElement answer = await accepted.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        string id = answer.GetProperty("id").GetString()!;
        JsonElement links = answer.GetProperty("links");
        string self = links.GetProperty("self").GetString()!;
        Assert.Equal(self, accepted.Headers.Location!.OriginalString);
        Assert.NotNull(accepted.Headers.RetryAfter);
        Assert.Contains(answer.GetProperty("status").GetString(), (string[])["queued", "running", "completed"]);

        JsonElement status = await api.Client.WaitForEndAsync(id);
        Assert.Equal("completed", status.GetProperty("status").GetString());
        Assert.Equal("ioi-demo", status.GetProperty("model").GetString());
        Assert.Equal("ioi", status.GetProperty("dataset").GetString());
        JsonElement progress = status.GetProperty("progress");
        Assert.Equal("done", progress.GetProperty("phase").GetString());
        Assert.Equal(3, progress.GetProperty("layersDone").GetInt32());
        Assert.Equal(3, progress.GetProperty("layersTotal").GetInt32());
        Assert.False(status.TryGetProperty("error", out _));
        Assert.Equal(links.ToString(), status.GetProperty("links").ToString());

        JsonElement list = (await api.Client.GetAsync("/api/sweeps")).GetProperty("sweeps");
        Assert.Contains(list.EnumerateArray(), sweep => sweep.GetProperty("id").GetString() == id);

        JsonElement results = await api.Client.GetAsync(links.GetProperty("results").GetString()!);
        Assert.Equal(id, results.GetProperty("sweepId").GetString());
        Assert.Equal(24, results.GetProperty("heads").GetArrayLength());
        Assert.Equal(5, results.GetProperty("pairs").GetArrayLength());
        double strongest = results.GetProperty("heads").EnumerateArray().Max(head => head.GetProperty("patchingEffect").GetDouble());
        Assert.InRange(strongest, 0.3, 2);

        await AssertPartsAsync(links, results);
        await AssertKnownPartIsNotSentAgainAsync(links.GetProperty("results").GetString()!);

        using HttpResponseMessage deleted = await api.Client.Http.DeleteAsync(self);
        Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        Assert.Equal("deleted", (await deleted.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("removal").GetString());
        foreach (string path in (string[])[self, $"{self}/results", $"{self}/report"])
        {
            using HttpResponseMessage gone = await api.Client.Http.GetAsync(path);
            await gone.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-sweep");
        }
    }

    [Fact]
    public async Task A_running_sweep_has_no_results_and_is_cancelled_by_delete()
    {
        await api.RequireLongModelAsync();
        string id = await api.Client.StartAsync(LongSweep.Body(pairs: 300, seed: 1));
        await api.Client.WaitAsync(id, status => status.GetProperty("status").GetString() == "running");

        using (HttpResponseMessage early = await api.Client.Http.GetAsync($"/api/sweeps/{id}/results"))
        {
            await early.ReadProblemAsync(HttpStatusCode.Conflict, "sweep-not-completed");
            Assert.NotNull(early.Headers.RetryAfter);
        }

        using (HttpResponseMessage cancelling = await api.Client.Http.DeleteAsync($"/api/sweeps/{id}"))
        {
            Assert.Equal(HttpStatusCode.Accepted, cancelling.StatusCode);
            Assert.Equal("cancelling", (await cancelling.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("removal").GetString());
        }

        Assert.Equal("cancelled", (await api.Client.WaitForEndAsync(id)).GetProperty("status").GetString());
        using (HttpResponseMessage never = await api.Client.Http.GetAsync($"/api/sweeps/{id}/heatmap.png"))
        {
            await never.ReadProblemAsync(HttpStatusCode.Conflict, "sweep-cancelled");
        }

        using HttpResponseMessage deleted = await api.Client.Http.DeleteAsync($"/api/sweeps/{id}");
        Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        using HttpResponseMessage gone = await api.Client.Http.GetAsync($"/api/sweeps/{id}");
        await gone.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-sweep");
    }

    [Fact]
    public async Task What_only_tokenising_finds_fails_the_sweep_and_says_where()
    {
        string id = await api.Client.StartAsync(UnequalPair);
        JsonElement status = await api.Client.WaitForEndAsync(id);
        Assert.Equal("failed", status.GetProperty("status").GetString());
        JsonElement fault = Assert.Single(status.GetProperty("error").GetProperty("faults").EnumerateArray());
        Assert.Equal("unequal-length", fault.GetProperty("kind").GetString());
        Assert.StartsWith("pairs[0]", fault.GetProperty("path").GetString(), StringComparison.Ordinal);

        using HttpResponseMessage none = await api.Client.Http.GetAsync($"/api/sweeps/{id}/results");
        JsonElement problem = await none.ReadProblemAsync(HttpStatusCode.Conflict, "sweep-failed");
        Assert.Equal(fault.GetProperty("message").GetString(), problem.GetProperty("errors")[0].GetProperty("message").GetString());
    }

    [Fact]
    public async Task Pairs_that_cannot_be_swept_are_left_out_where_the_request_says_so_and_the_result_names_them()
    {
        const string Good = """{"clean": "When Mary and John went to the store, John gave a drink to", "corrupted": "When Mary and John went to the store, Mary gave a drink to", "correct": " Mary", "incorrect": " John"}""";
        string body = UnequalPair.Replace("\"pairs\": [", $"\"skipInvalid\": true, \"bos\": \"never\", \"pairs\": [{Good}, ", StringComparison.Ordinal);
        JsonElement results = await api.Client.ResultsAsync(await api.Client.StartAsync(body));
        Assert.Equal([0], results.GetProperty("pairs").EnumerateArray().Select(pair => pair.GetProperty("index").GetInt32()));
        Assert.Equal(1, results.GetProperty("dataset").GetProperty("pairs").GetInt32());
        Assert.Equal(14, results.GetProperty("pairs")[0].GetProperty("cleanTokens").GetArrayLength()); // no BOS
        Assert.Equal("never", results.GetProperty("bos").GetString());
        string warning = results.GetProperty("warnings")[0].GetString()!;
        Assert.StartsWith("1 of 2 pairs cannot be swept and were left out: 1. pairs[1]: Clean has 14 tokens and corrupted 3;", warning, StringComparison.Ordinal);
        Assert.DoesNotContain("[3", warning, StringComparison.Ordinal); // what is wrong, not every token of it
    }

    [Fact]
    public async Task Every_kind_of_sweep_completes()
    {
        string[] bodies =
        [
            """{"patch": "pattern", "positions": "all", "direction": "noise", "aggregation": "ratio-of-means", "threshold": 0, "top": 1}""",
            """{"patch": "v", "positions": "each", "dataset": "ioi-order", "dtype": "float64", "device": "cpu"}""",
            """{"patch": "q", "positions": -1, "pairIndices": [0, 2], "pairs": null}""",
            """{"patch": "k", "memoryMiB": 16, "name": "mine", "model": "ioi-demo", "pairs": [{"clean": "When Mary and John went to the store, John gave a drink to", "corrupted": "When Mary and John went to the store, Mary gave a drink to", "correct": " Mary", "incorrect": " John"}]}""",
            """{"metric": "log-probability", "seed": -1}""",
            """{"metric": "probability", "direction": "noise"}""",
            """{"metric": "probability-difference", "method": "screen", "bos": "always", "skipInvalid": false}""",
            """{"ablation": "mean"}""",
            """{"ablation": "value-bias"}""",
            """{"ablation": "mean", "dataset": "ioi-generated", "reference": "ioi-abc"}""",
            """{"ablation": "resample", "reference": [{"clean": [699, 1, 2, 3, 4, 5, 6, 7], "corrupted": [699, 3, 2, 3, 4, 5, 6, 7], "correct": 5, "incorrect": 6, "template": "t", "roles": {"END": -1}}]}""",
            """{"positions": "S2", "dataset": "ioi-generated", "count": 30, "reference": null}""",
            """{"positions": "each-role", "dataset": "ioi-generated", "receivers": ["logits"]}""",
            """{"ablation": "resample", "seed": 3, "direction": "denoise"}""",
            """{"method": "attribution", "positions": "each"}""",
            """{"method": "screen", "screenTop": 2, "patch": "pattern"}""",
            """{"receivers": ["L2H6.k", "L1H1.v"]}""",
            """{"receivers": ["logits"], "freezeMlps": true, "direction": "noise"}""",
            """{"metric": "rank", "aggregation": "ratio-of-means"}""",
            """{"tokenWeights": {" Mary": 1, "#5": -0.25}, "method": "attribution"}""",
            """{"metric": "kl-divergence", "positions": "each", "pairs": [{"clean": [699, 1, 2], "corrupted": [699, 3, 2], "correct": [5, 7], "incorrect": 6}, {"clean": [699, 4, 2], "corrupted": [699, 3, 2], "correct": 5, "incorrect": [6, 8]}]}""",
        ];
        string[] ids = await Task.WhenAll(bodies.Select(body => api.Client.StartAsync(body)));
        foreach (string id in ids)
        {
            JsonElement results = await api.Client.ResultsAsync(id);
            Assert.Equal(24, results.GetProperty("heads").GetArrayLength());
        }
    }

    [Theory]
    [InlineData("attn_out")]
    [InlineData("mlp_out")]
    [InlineData("resid_pre")]
    [InlineData("resid_mid")]
    [InlineData("resid_post")]
    public async Task A_layer_patched_as_a_whole_has_one_result_and_no_head(string patch)
    {
        JsonElement results = await api.Client.ResultsAsync(await api.Client.StartAsync($$"""{"patch": "{{patch}}", "positions": "each"}"""));
        Assert.Equal(patch, results.GetProperty("patch").GetString());
        Assert.Equal(["L0", "L1", "L2"], results.GetProperty("heads").EnumerateArray().Select(layer => layer.GetProperty("name").GetString()));
        Assert.All(results.GetProperty("heads").EnumerateArray(), layer => Assert.Equal(JsonValueKind.Null, layer.GetProperty("head").ValueKind));
        Assert.All(results.GetProperty("heatmapByPosition").EnumerateArray(), layer => Assert.Equal(15, layer.GetArrayLength()));
    }

    [Fact]
    public async Task The_same_key_posted_20_times_at_once_makes_one_sweep()
    {
        string key = Guid.NewGuid().ToString();
        HttpResponseMessage[] responses = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => api.Client.PostAsync("""{"top": 5}""", key)));
        Assert.All(responses, response => Assert.Equal(HttpStatusCode.Accepted, response.StatusCode));
        var ids = new HashSet<string>();
        foreach (HttpResponseMessage response in responses)
        {
            ids.Add((await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!);
            response.Dispose();
        }

        string id = Assert.Single(ids);
        await api.Client.ResultsAsync(id);
        Assert.Equal(id, await api.Client.StartAsync("""{"top": 5}""", key)); // and after its end
        Assert.Equal(id, await api.Client.StartAsync("""{"dataset": null, "top": 5}""", key)); // the same request in other words

        using HttpResponseMessage other = await api.Client.PostAsync("""{"top": 6}""", key);
        await other.ReadProblemAsync(HttpStatusCode.Conflict, "idempotency-conflict");
        Assert.NotEqual(id, await api.Client.StartAsync("""{"top": 5}""", Guid.NewGuid().ToString()));
    }

    [Fact]
    public async Task A_generated_dataset_is_swept_with_as_many_pairs_as_asked_for()
    {
        string id = await api.Client.StartAsync("""{"dataset": "induction", "count": 3, "seed": 7}""");
        Assert.Equal("completed", (await api.Client.WaitForEndAsync(id)).GetProperty("status").GetString());
        JsonElement results = await api.Client.GetAsync($"/api/sweeps/{id}/results");
        Assert.Equal("induction", results.GetProperty("dataset").GetProperty("name").GetString());
        Assert.Equal(3, results.GetProperty("pairs").GetArrayLength());
        Assert.Equal(25, results.GetProperty("pairs")[0].GetProperty("cleanTokens").GetArrayLength());
    }

    [Fact]
    public async Task A_dataset_that_the_model_cannot_have_fails_and_says_why()
    {
        await api.RequireLongModelAsync(); // it has no tokenizer
        string id = await api.Client.StartAsync($$"""{"model": "{{LongSweep.Model}}", "dataset": "greater-than"}""");
        JsonElement status = await api.Client.WaitForEndAsync(id);
        Assert.Equal("failed", status.GetProperty("status").GetString());
        Assert.Contains("no tokenizer", status.GetProperty("error").ToString(), StringComparison.Ordinal);
        Assert.Contains("\"dataset\"", status.GetProperty("error").ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_plan_alone_is_answered_at_once_and_makes_no_sweep()
    {
        using HttpResponseMessage answer = await api.Client.PostAsync("""{"dataset": "ioi-generated", "count": 1000, "planOnly": true}""");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        JsonElement plan = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement;
        Assert.Equal((1000, 24_000), (plan.GetProperty("pairs").GetInt32(), plan.GetProperty("patchedRuns").GetInt32()));
        Assert.InRange(plan.GetProperty("activities").GetInt32(), 3, 20);
        Assert.True(plan.GetProperty("flops").GetDouble() > 1e9);
        Assert.Null(answer.Headers.Location);
        Assert.False(plan.TryGetProperty("id", out _));

        using HttpResponseMessage refused = await api.Client.PostAsync("""{"pairs": [{"clean": [1, 2], "corrupted": [1], "correct": 3, "incorrect": 4}], "planOnly": true}""");
        Assert.Equal(["pairs[0] unequal-length"], (await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
    }

    [Fact]
    public async Task A_key_that_is_empty_or_too_long_is_refused()
    {
        foreach (string key in (string[])["", new string('k', 201)])
        {
            using HttpResponseMessage refused = await api.Client.PostAsync("{}", key);
            JsonElement problem = await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
            Assert.Equal(["Idempotency-Key invalid-option"], problem.Faults());
        }
    }

    [Fact]
    public async Task Models_health_and_the_OpenAPI_document_are_there()
    {
        JsonElement models = await api.Client.GetAsync("/api/models");
        JsonElement demo = models.GetProperty("models").EnumerateArray().Single(model => model.GetProperty("name").GetString() == "ioi-demo");
        Assert.Equal(3, demo.GetProperty("layers").GetInt32());
        Assert.Equal(8, demo.GetProperty("heads").GetInt32());
        Assert.Equal(
            [
                ("ioi", false), ("ioi-order", false), ("ioi-generated", true), ("ioi-abc", true), ("greater-than", true), ("induction", true), ("docstring", true), ("gendered-pronoun", true),
                ("gender-bias", true), ("sva", true), ("arithmetic-addition", true), ("arithmetic-subtraction", true), ("colored-objects", true), ("mcqa", true),
            ],
            models.GetProperty("datasets").EnumerateArray().Select(dataset => (dataset.GetProperty("name").GetString(), dataset.GetProperty("generated").GetBoolean())));

        Assert.Equal("ok", (await api.Client.GetAsync("/api/health")).GetProperty("status").GetString());
        Assert.Equal("ok", (await api.Client.GetAsync("/api/health/live")).GetProperty("status").GetString());

        JsonElement paths = (await api.Client.GetAsync("/api/openapi.json")).GetProperty("paths");
        Assert.Equal(
            [
                "/api/compare", "/api/compare/page", "/api/health", "/api/health/live", "/api/models", "/api/series", "/api/series/{id}", "/api/series/{id}/report", "/api/series/{id}/results",
                "/api/sweeps", "/api/sweeps/delete", "/api/sweeps/{id}", "/api/sweeps/{id}/circuit", "/api/sweeps/{id}/circuit/{file}", "/api/sweeps/{id}/edges/{file}", "/api/sweeps/{id}/effects.parquet", "/api/sweeps/{id}/events",
                "/api/sweeps/{id}/heads.csv", "/api/sweeps/{id}/heatmap.csv", "/api/sweeps/{id}/heatmap.png", "/api/sweeps/{id}/heatmap.svg", "/api/sweeps/{id}/patterns", "/api/sweeps/{id}/report",
                "/api/sweeps/{id}/request", "/api/sweeps/{id}/results",
            ],
            paths.EnumerateObject().Select(path => path.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task The_OpenAPI_document_kept_in_the_repository_is_the_one_that_is_generated()
    {
        using var kept = new StreamReader(OpenApi.OpenApiDocumentFile.OpenRead());
        string generated = await api.Client.Http.GetStringAsync("/api/openapi.json");
        Assert.True(
            generated.ReplaceLineEndings("\n").Trim() == (await kept.ReadToEndAsync()).ReplaceLineEndings("\n").Trim(),
            "Save GET /api/openapi.json of `headpatch serve` as src/HeadPatching.Http/OpenApi/openapi.json.");
    }

    private async Task AssertPartsAsync(JsonElement links, JsonElement results)
    {
        byte[] png = await PartAsync("heatmapPng", "image/png");
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], png[..4]);
        Assert.Contains("<svg", Encoding.UTF8.GetString(await PartAsync("heatmapSvg", "image/svg+xml")), StringComparison.Ordinal);

        string[] heatmap = Lines(await PartAsync("heatmapCsv", "text/csv"));
        Assert.Equal("layer,H0,H1,H2,H3,H4,H5,H6,H7", heatmap[0]);
        double[][] effects = [.. heatmap[1..].Select(line => line.Split(',')[1..].Select(double.Parse).ToArray())];
        Assert.Equal(results.GetProperty("heatmap").Deserialize<double[][]>(), effects);

        Assert.Equal(1 + 24, Lines(await PartAsync("headsCsv", "text/csv")).Length);
        Assert.Equal("PAR1", Encoding.ASCII.GetString((await PartAsync("effects", "application/vnd.apache.parquet"))[..4]));
        Assert.Contains("</html>", Encoding.UTF8.GetString(await PartAsync("report", "text/html")), StringComparison.Ordinal);

        async Task<byte[]> PartAsync(string link, string contentType)
        {
            using HttpResponseMessage part = await api.Client.Http.GetAsync(links.GetProperty(link).GetString());
            Assert.Equal(HttpStatusCode.OK, part.StatusCode);
            Assert.Equal(contentType, part.Content.Headers.ContentType!.MediaType);
            return await part.Content.ReadAsByteArrayAsync();
        }

        static string[] Lines(byte[] text) => Encoding.UTF8.GetString(text).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private async Task AssertKnownPartIsNotSentAgainAsync(string path)
    {
        using HttpResponseMessage first = await api.Client.Http.GetAsync(path);
        EntityTagHeaderValue etag = Assert.IsType<EntityTagHeaderValue>(first.Headers.ETag);
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.IfNoneMatch.Add(etag);
        using HttpResponseMessage again = await api.Client.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotModified, again.StatusCode);
        Assert.Empty(await again.Content.ReadAsByteArrayAsync());
    }
}
