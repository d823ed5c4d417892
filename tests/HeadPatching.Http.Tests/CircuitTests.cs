using System.Net;
using System.Text.Json;

namespace HeadPatching.Http.Tests;

/// <summary>Sets of nodes and circuits over HTTP.</summary>
[Collection<SharedServer>]
public sealed class CircuitTests(ApiFixture api)
{
    [Fact]
    public async Task A_sweep_with_a_circuit_has_it_in_its_results_as_a_page_and_as_files()
    {
        string id = await api.Client.StartAsync("""{"dataset": "ioi-generated", "count": 20, "circuit": "heads", "circuitRandom": 5, "circuitSizes": [1, 4], "patchSets": ["L2H6,L2H0"]}""");
        JsonElement status = await api.Client.WaitForEndAsync(id);
        Assert.Equal("completed", status.GetProperty("status").GetString());
        Assert.Equal("heads", status.GetProperty("circuit").GetString());
        Assert.True(status.GetProperty("progress").GetProperty("rounds").GetInt32() > 2);

        JsonElement results = await api.Client.GetAsync($"/api/sweeps/{id}/results");
        Assert.Equal("L2H6,L2H0", results.GetProperty("patchSets")[0].GetProperty("set").GetString());
        JsonElement circuit = results.GetProperty("circuit");
        Assert.Equal([1, 4], circuit.GetProperty("sizes").EnumerateArray().Select(size => size.GetProperty("nodes").GetInt32()));

        using HttpResponseMessage page = await api.Client.Http.GetAsync($"/api/sweeps/{id}/circuit");
        Assert.Equal((HttpStatusCode.OK, "text/html"), (page.StatusCode, page.Content.Headers.ContentType!.MediaType));
        string html = await page.Content.ReadAsStringAsync();
        Assert.Contains(circuit.GetProperty("verdict")[0].GetString()![..20], WebUtility.HtmlDecode(html), StringComparison.Ordinal);

        JsonElement file = await api.Client.GetAsync($"/api/sweeps/{id}/circuit/circuit.json");
        Assert.True(JsonElement.DeepEquals(circuit, file));
        using HttpResponseMessage picture = await api.Client.Http.GetAsync($"/api/sweeps/{id}/circuit/circuit.svg");
        Assert.Equal("image/svg+xml", picture.Content.Headers.ContentType!.MediaType);
        Assert.Contains("default-src 'none'", picture.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        using HttpResponseMessage unknown = await api.Client.Http.GetAsync($"/api/sweeps/{id}/circuit/circuit.exe");
        await unknown.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-route");

        JsonElement request = await api.Client.GetAsync($"/api/sweeps/{id}/request");
        Assert.Equal("heads", request.GetProperty("circuit").GetString());
    }

    [Fact]
    public async Task A_sweep_with_edges_has_them_in_its_results_and_as_files()
    {
        string id = await api.Client.StartAsync("""{"edges": "attribution-ig", "edgeSteps": 2, "threshold": 0.2}""");
        Assert.Equal("completed", (await api.Client.WaitForEndAsync(id)).GetProperty("status").GetString());
        JsonElement edges = (await api.Client.GetAsync($"/api/sweeps/{id}/results")).GetProperty("edges");
        Assert.Equal((802, 802, 2), (edges.GetProperty("edges").GetArrayLength(), edges.GetProperty("patchingEffect").GetArrayLength(), edges.GetProperty("found").GetProperty("steps").GetInt32()));
        using HttpResponseMessage table = await api.Client.Http.GetAsync($"/api/sweeps/{id}/edges/edges.csv");
        Assert.Equal("text/csv", table.Content.Headers.ContentType!.MediaType);
        string[] lines = (await table.Content.ReadAsStringAsync()).TrimEnd().Split('\n');
        Assert.Equal((803, "edge,sender,receiver,patchingEffect,standardError,confidenceLow,confidenceHigh,pairs,estimatedEffect,decision"), (lines.Length, lines[0]));
        Assert.StartsWith("embed->L0H0.q,embed,L0H0.q,", lines[1], StringComparison.Ordinal);
        Assert.EndsWith(",0,,", lines[1], StringComparison.Ordinal);
        JsonElement graph = await api.Client.GetAsync($"/api/sweeps/{id}/edges/edges.eap-ig.json");
        Assert.Contains(graph.GetProperty("edges").EnumerateObject(), edge => edge.Value.GetProperty("in_graph").GetBoolean());
        using HttpResponseMessage circuit = await api.Client.Http.GetAsync($"/api/sweeps/{id}/circuit");
        await circuit.ReadProblemAsync(HttpStatusCode.NotFound, "no-circuit");
    }

    [Fact]
    public async Task Adaptive_edges_say_in_every_file_on_how_many_pairs_they_were_patched_and_what_was_decided()
    {
        string id = await api.Client.StartAsync("""{"dataset": "ioi-generated", "count": 40, "edges": "adaptive", "edgeSteps": 1, "threshold": 0.1}""");
        Assert.Equal("completed", (await api.Client.WaitForEndAsync(id)).GetProperty("status").GetString());
        JsonElement edges = (await api.Client.GetAsync($"/api/sweeps/{id}/results")).GetProperty("edges");
        Assert.Equal((0.1, 0.95), (edges.GetProperty("found").GetProperty("threshold").GetDouble(), edges.GetProperty("found").GetProperty("confidence").GetDouble()));
        int strong = edges.GetProperty("edges").EnumerateArray().Index().Single(edge => edge.Item.GetString() == "L2H6->logits").Index, on = edges.GetProperty("pairs")[strong].GetInt32();
        Assert.InRange(on, 14, 40);
        Assert.Equal("above", edges.GetProperty("decision")[strong].GetString());
        string table = await api.Client.Http.GetStringAsync($"/api/sweeps/{id}/edges/edges.csv");
        Assert.EndsWith(",above", table.Split('\n')[strong + 1], StringComparison.Ordinal);
        JsonElement edge = (await api.Client.GetAsync($"/api/sweeps/{id}/edges/edges.eap-ig.json")).GetProperty("edges").GetProperty("a2.h6->logits");
        Assert.Equal((on, "above"), (edge.GetProperty("pairs").GetInt32(), edge.GetProperty("decision").GetString()));
    }

    [Fact]
    public async Task A_sweep_without_one_says_so_and_what_cannot_be_is_refused_with_every_fault()
    {
        string id = await api.Client.StartAsync("{}");
        await api.Client.WaitForEndAsync(id);
        using HttpResponseMessage none = await api.Client.Http.GetAsync($"/api/sweeps/{id}/circuit");
        await none.ReadProblemAsync(HttpStatusCode.NotFound, "no-circuit");

        using HttpResponseMessage refused = await api.Client.PostAsync(
            """{"patch": "v", "circuit": "heads", "circuitHoldout": 1.5, "circuitSizes": [0], "circuitRandom": -1, "patchSets": ["L1", 3], "circuitGiven": "M1"}""");
        JsonElement problem = await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
        Assert.Equal(
            ["circuit", "circuitGiven", "circuitHoldout", "circuitRandom", "circuitSizes", "patchSets[0]", "patchSets[1]"],
            problem.GetProperty("errors").EnumerateArray().Select(error => error.GetProperty("path").GetString()!).Order(StringComparer.Ordinal));
    }
}
