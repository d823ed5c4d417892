using System.Net;
using System.Text.Json;

namespace HeadPatching.Http.Tests;

/// <summary>GET /api/compare and /api/compare/page.</summary>
[Collection<SharedServer>]
public sealed class ComparisonTests(ApiFixture api)
{
    [Fact]
    public async Task Two_completed_sweeps_are_compared_over_the_pairs_they_have_in_common()
    {
        string a = await CompletedAsync("""{"dataset": "ioi-generated", "count": 25}"""), b = await CompletedAsync("""{"dataset": "ioi-generated", "count": 25, "metric": "probability"}""");
        JsonElement comparison = await api.Client.GetAsync($"/api/compare?a={a}&b={b}");
        Assert.Equal((a, b), (comparison.GetProperty("a").GetProperty("sweepId").GetString(), comparison.GetProperty("b").GetProperty("sweepId").GetString()));
        Assert.Equal(("tokens", 25, 2000), (comparison.GetProperty("matchedBy").GetString(), comparison.GetProperty("commonPairs").GetInt32(), comparison.GetProperty("draws").GetInt32()));
        JsonElement results = await api.Client.GetAsync($"/api/sweeps/{a}/results"), other = await api.Client.GetAsync($"/api/sweeps/{b}/results");
        JsonElement head = comparison.GetProperty("heads")[22];
        double effectA = results.GetProperty("heads")[22].GetProperty("patchingEffect").GetDouble(), effectB = other.GetProperty("heads")[22].GetProperty("patchingEffect").GetDouble();
        Assert.Equal(effectA, head.GetProperty("effectA").GetDouble(), 1e-9);
        Assert.Equal(effectB - effectA, head.GetProperty("difference").GetDouble(), 1e-9);
        Assert.True(head.GetProperty("moved").GetBoolean());
        Assert.Equal("L2H6", comparison.GetProperty("moved")[0].GetProperty("name").GetString());

        // The same again is the same; other draws leave the differences as they are.
        Assert.True(JsonElement.DeepEquals(comparison, await api.Client.GetAsync($"/api/compare?a={a}&b={b}&draws=2000&seed=0")));
        JsonElement others = await api.Client.GetAsync($"/api/compare?a={a}&b={b}&draws=500&seed=3");
        Assert.Equal((500, 3), (others.GetProperty("draws").GetInt32(), others.GetProperty("seed").GetInt32()));
        Assert.Equal(head.GetProperty("difference").GetDouble(), others.GetProperty("heads")[22].GetProperty("difference").GetDouble());

        using HttpResponseMessage page = await api.Client.Http.GetAsync($"/api/compare/page?a={a}&b={b}");
        Assert.Equal((HttpStatusCode.OK, "text/html"), (page.StatusCode, page.Content.Headers.ContentType!.MediaType));
        Assert.Contains("Two sweeps side by side", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_compared_is_a_problem()
    {
        string heads = await CompletedAsync("{}"), layers = await CompletedAsync("""{"patch": "attn_out"}""");
        using (HttpResponseMessage shapes = await api.Client.Http.GetAsync($"/api/compare?a={heads}&b={layers}"))
        {
            JsonElement problem = await shapes.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
            Assert.Equal("The two sweeps cannot be compared.", problem.GetProperty("title").GetString());
            Assert.Contains("z in 3 layers of 8 heads", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
            Assert.Contains("attn_out in 3 layers as a whole", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        }

        string nowhere = "n" + new string('0', 24);
        using (HttpResponseMessage unknown = await api.Client.Http.GetAsync($"/api/compare/page?a={heads}&b={nowhere}"))
        {
            JsonElement problem = await unknown.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-sweep");
            Assert.Contains(nowhere, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        }

        foreach (string query in (string[])["", $"?a={heads}", $"?a={heads}&b=../{heads}", $"?a={heads}&a={heads}&b={heads}", $"?a={heads}&b={heads}&draws=1", $"?a={heads}&b={heads}&seed=x"])
        {
            using HttpResponseMessage refused = await api.Client.Http.GetAsync($"/api/compare{query}");
            JsonElement problem = await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
            Assert.NotEqual(0, problem.GetProperty("errors").GetArrayLength());
        }

        using HttpResponseMessage method = await api.Client.Http.PostAsync("/api/compare", null);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, method.StatusCode);
    }

    private async Task<string> CompletedAsync(string body)
    {
        string id = await api.Client.StartAsync(body);
        await api.Client.ResultsAsync(id);
        return id;
    }
}
