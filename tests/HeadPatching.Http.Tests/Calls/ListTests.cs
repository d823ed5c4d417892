using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Calls;

/// <summary>The list: what tells sweeps apart, filters, search, pages; a request to post again; several deleted at once.</summary>
[Collection<SharedServer>]
public sealed class ListTests(ApiFixture api)
{
    private static string Unique => $"t{Guid.NewGuid():n}";

    [Fact]
    public async Task A_sweep_of_the_list_tells_itself_apart()
    {
        string name = Unique;
        string id = await api.Client.StartAsync($$"""{"name": "{{name}} é", "patch": "v", "positions": "each", "metric": "probability", "dtype": "float64", "dataset": "ioi-generated", "count": 7}""");
        JsonElement results = await api.Client.ResultsAsync(id);

        JsonElement sweep = Assert.Single((await api.Client.GetAsync($"/api/sweeps?q={name}")).GetProperty("sweeps").EnumerateArray());
        Assert.Equal(id, sweep.GetProperty("id").GetString());
        Assert.Equal(
            ($"{name} é", 7, "v", "each", "denoise", "probability", "float64"),
            (Text("name"), sweep.GetProperty("pairs").GetInt32(), Text("patch"), Text("positions"), Text("direction"), Text("metric"), Text("dtype")));

        JsonElement strongest = results.GetProperty("heads").EnumerateArray().MaxBy(head => Math.Abs(head.GetProperty("patchingEffect").GetDouble()));
        Assert.Equal(strongest.GetProperty("name").GetString(), sweep.GetProperty("strongest").GetProperty("name").GetString());
        Assert.Equal(strongest.GetProperty("patchingEffect").GetDouble(), sweep.GetProperty("strongest").GetProperty("patchingEffect").GetDouble());
        double[][] small = sweep.GetProperty("smallHeatmap").Deserialize<double[][]>()!;
        Assert.Equal(
            results.GetProperty("heatmap").Deserialize<double[][]>()!.Select(layer => layer.Select(effect => Math.Round(effect, 2))), small);
        Assert.Equal(sweep.ToString(), (await api.Client.GetAsync($"/api/sweeps/{id}")).ToString());

        string? Text(string property) => sweep.GetProperty(property).GetString();
    }

    [Fact]
    public async Task The_list_is_filtered_by_status_model_and_words_and_its_pages_keep_to_that()
    {
        string name = Unique;
        string[] bodies =
        [
            $$"""{"name": "{{name}} one"}""",
            $$"""{"name": "{{name}} two"}""",
            $$"""{"name": "{{name}} three"}""",
            $$"""{"name": "{{name}} broken", "pairs": [{"clean": [1, 2], "corrupted": [1], "correct": 3, "incorrect": 4}]}""",
        ];
        string[] ids = await Task.WhenAll(bodies.Select(body => api.Client.StartAsync(body)));
        await Task.WhenAll(ids.Select(api.Client.WaitForEndAsync));

        Assert.Equal(4, await CountAsync($"q={name}"));
        Assert.Equal(1, await CountAsync($"q={name.ToUpperInvariant()}%20TWO"));
        Assert.Equal(0, await CountAsync($"q={name}%20nowhere"));
        Assert.Equal(3, await CountAsync($"q={name}&status=completed"));
        Assert.Equal(4, await CountAsync($"q={name}&status=completed,failed"));
        Assert.Equal(4, await CountAsync($"q={name}&status=completed&status=failed&model=ioi-demo"));
        Assert.Equal(0, await CountAsync($"q={name}&model=another"));

        // By the token, and by the address of the next page.
        JsonElement first = await api.Client.GetAsync($"/api/sweeps?limit=2&q={name}&status=completed");
        JsonElement byToken = await api.Client.GetAsync($"/api/sweeps?limit=2&q={name}&status=completed&continuationToken={first.GetProperty("continuationToken").GetString()}");
        JsonElement byAddress = await api.Client.GetAsync(first.GetProperty("next").GetString()!);
        Assert.Equal(byToken.ToString(), byAddress.ToString());
        Assert.Equal(3, byToken.GetProperty("total").GetInt32());
        Assert.False(byToken.TryGetProperty("continuationToken", out _));
        Assert.Equal(ids[..3].Order(), first.GetProperty("sweeps").EnumerateArray().Concat(byToken.GetProperty("sweeps").EnumerateArray())
            .Select(sweep => sweep.GetProperty("id").GetString()!).Order());

        async Task<int> CountAsync(string query) => (await api.Client.GetAsync($"/api/sweeps?{query}")).GetProperty("sweeps").GetArrayLength();
    }

    [Theory]
    [InlineData("?page=2", "page unknown-property")]
    [InlineData("?Limit=2", "Limit unknown-property")]
    [InlineData("?limit=0&status=done&x=", "x unknown-property", "limit invalid-option", "status invalid-option")]
    [InlineData("?continuationToken=nonsense", "continuationToken invalid-option")]
    [InlineData("?q=a&q=b", "q invalid-option")]
    public async Task A_parameter_that_the_list_does_not_know_is_refused_with_those_that_it_knows(string query, params string[] faults)
    {
        using HttpResponseMessage refused = await api.Client.Http.GetAsync($"/api/sweeps{query}");
        JsonElement problem = await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
        Assert.Equal(faults, problem.Faults());
        if (faults[0].EndsWith("unknown-property", StringComparison.Ordinal))
        {
            Assert.Contains("limit, continuationToken, after, status, model, q", problem.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_request_is_given_back_so_that_posting_it_again_is_the_same_sweep()
    {
        const string Asked = """
            {"name": "again", "model": "ioi-demo", "patch": "q", "positions": -1, "direction": "noise", "threshold": 0.25, "receivers": null, "reference": null,
             "tokenWeights": {" Mary": 1, "#5": -0.25}, "pairIndices": [0], "skipInvalid": true, "seed": 0,
             "pairs": [{"clean": "When Mary and John went to the store, John gave a drink to", "corrupted": "When Mary and John went to the store, Mary gave a drink to",
                        "correct": [" Mary", 5], "incorrect": " John", "roles": {"END": -1}, "template": "t"}]}
            """;
        string key = Unique;
        string id = await api.Client.StartAsync(Asked, key);
        JsonElement request = await api.Client.GetAsync($"/api/sweeps/{id}/request");
        Assert.Equal(
            ["direction", "model", "name", "pairIndices", "pairs", "patch", "positions", "skipInvalid", "threshold", "tokenWeights"],
            request.EnumerateObject().Select(property => property.Name).Order(StringComparer.Ordinal));
        Assert.Equal(id, await api.Client.StartAsync(request.ToString(), key)); // another request under the key would be a 409
        Assert.Equal("""{"model":"ioi-demo"}""", (await api.Client.GetAsync($"/api/sweeps/{await api.Client.StartAsync("{}")}/request")).ToString());

        using HttpResponseMessage unknown = await api.Client.Http.GetAsync("/api/sweeps/n000000000000000000000000/request");
        await unknown.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-sweep");
    }

    [Fact]
    public async Task Several_sweeps_are_deleted_at_once_and_what_became_of_each_is_said()
    {
        await api.RequireLongModelAsync();
        string ended = await api.Client.StartAsync("{}");
        await api.Client.WaitForEndAsync(ended);
        string running = await api.Client.StartAsync(LongSweep.Body(pairs: 300, seed: 4));
        await api.Client.WaitAsync(running, status => status.GetProperty("status").GetString() == "running");

        using HttpResponseMessage answer = await PostAsync(JsonSerializer.Serialize(new { ids = new[] { ended, "n000000000000000000000000", running, "../secrets" } }));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        JsonElement sweeps = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("sweeps");
        Assert.Equal(
            [(ended, "deleted"), ("n000000000000000000000000", "unknown"), (running, "cancelling"), ("../secrets", "unknown")],
            sweeps.EnumerateArray().Select(sweep => (sweep.GetProperty("id").GetString()!, sweep.GetProperty("removal").GetString()!)));
        await api.Client.WaitForEndAsync(running);
        using HttpResponseMessage gone = await api.Client.Http.GetAsync($"/api/sweeps/{ended}");
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Theory]
    [InlineData("", "$ malformed")]
    [InlineData("[]", "$ malformed")]
    [InlineData("""{"ids": "n0"}""", "$ malformed")]
    [InlineData("""{"ids": []}""", "ids too-large")]
    [InlineData("""{"ids": [3]}""", "ids[0] malformed")]
    [InlineData("""{"ids": ["\ud83d"]}""", "$ malformed")]
    [InlineData("""{"ids": ["a"], "all": true}""", "all unknown-property")]
    public async Task A_list_of_ids_that_cannot_be_is_refused(string body, string fault)
    {
        using HttpResponseMessage refused = await PostAsync(body);
        Assert.Equal([fault], (await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
    }

    [Fact]
    public async Task More_ids_than_may_be_deleted_at_once_are_refused()
    {
        using HttpResponseMessage many = await PostAsync(JsonSerializer.Serialize(new { ids = Enumerable.Repeat("n000000000000000000000000", 101) }));
        Assert.Equal(["ids too-large"], (await many.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
        using HttpResponseMessage large = await PostAsync($$"""{"ids": ["{{new string('a', 20_000)}}"]}""");
        await large.ReadProblemAsync(HttpStatusCode.RequestEntityTooLarge, "body-too-large");
    }

    private Task<HttpResponseMessage> PostAsync(string body) =>
        api.Client.Http.PostAsync("/api/sweeps/delete", new StringContent(body, System.Text.Encoding.UTF8, "application/json"));
}
