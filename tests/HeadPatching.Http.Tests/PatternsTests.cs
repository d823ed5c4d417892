using System.Net;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests;

/// <summary>GET /api/sweeps/{id}/patterns.</summary>
[Collection<SharedServer>]
public sealed class PatternsTests(ApiFixture api)
{
    [Fact]
    public async Task A_head_s_patterns_on_a_pair_are_given_with_their_tokens_and_in_words()
    {
        string id = await api.Client.StartAsync("{}");
        JsonElement results = await api.Client.ResultsAsync(id);
        JsonElement pair = results.GetProperty("pairs")[3];

        JsonElement answer = await api.Client.GetAsync($"/api/sweeps/{id}/patterns?head=L2H6&pair=3");

        Assert.Equal(("L2H6", 3), (answer.GetProperty("head").GetString(), answer.GetProperty("pair").GetInt32()));
        Assert.True(JsonElement.DeepEquals(pair.GetProperty("cleanTokens"), answer.GetProperty("cleanTokens")));
        Assert.True(JsonElement.DeepEquals(pair.GetProperty("corruptedTokenTexts"), answer.GetProperty("corruptedTokenTexts")));
        foreach (string run in (string[])["clean", "corrupted"])
        {
            double[][] pattern = answer.GetProperty(run).Deserialize<double[][]>()!;
            Assert.Equal(pair.GetProperty("cleanTokens").GetArrayLength(), pattern.Length);
            Assert.All(pattern.Index(), row =>
            {
                Assert.Equal(1, row.Item.Sum(), 1e-5);
                Assert.All(row.Item.Skip(row.Index + 1), later => Assert.Equal(0, later));
            });
        }

        // The head that moves the name looks at the second one, which is what the two prompts differ in.
        string michael = pair.GetProperty("cleanTokenTexts")[10].GetString()!, sarah = pair.GetProperty("corruptedTokenTexts")[10].GetString()!;
        Assert.Matches($@"from ' to' it looks at '{michael}' at position 10 \(0\.\d\d\) in the clean run and at '{sarah}' at position 10 \(0\.\d\d\) in the corrupted", answer.GetProperty("words").GetString());

        // One that is not among the strongest, and so not in the report; asked again it is the same.
        string other = (await api.Client.GetAsync($"/api/sweeps/{id}/patterns?head=L0H2&pair=4")).ToString();
        Assert.Equal(other, (await api.Client.GetAsync($"/api/sweeps/{id}/patterns?pair=4&head=L0H2")).ToString());
    }

    [Theory]
    [InlineData("", "head missing", "pair missing")]
    [InlineData("?head=H3&pair=-1", "head invalid-option", "pair invalid-option")]
    [InlineData("?head=L3H0&pair=0", "head out-of-range")]
    [InlineData("?head=L0H8&pair=0", "head out-of-range")]
    [InlineData("?head=L0H0&pair=5", "pair out-of-range")]
    [InlineData("?head=L0H0&pair=99999999999", "pair invalid-option")]
    [InlineData("?head=L0H0&pair=0&layer=3", "layer unknown-property")]
    public async Task What_cannot_be_asked_for_is_refused_by_name(string query, params string[] faults)
    {
        string id = await api.Client.StartAsync("{}", idempotencyKey: "patterns-refused");
        await api.Client.ResultsAsync(id);
        using HttpResponseMessage refused = await api.Client.Http.GetAsync($"/api/sweeps/{id}/patterns{query}");
        Assert.Equal(faults, (await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
    }

    [Fact]
    public async Task There_are_none_of_a_sweep_that_is_not_there_or_has_not_ended()
    {
        using (HttpResponseMessage unknown = await api.Client.Http.GetAsync("/api/sweeps/nothing/patterns?head=L0H0&pair=0"))
        {
            await unknown.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-sweep");
        }

        await api.RequireLongModelAsync();
        string id = await api.Client.StartAsync(LongSweep.Body(pairs: 300, seed: 5));
        using (HttpResponseMessage early = await api.Client.Http.GetAsync($"/api/sweeps/{id}/patterns?head=L0H0&pair=0"))
        {
            await early.ReadProblemAsync(HttpStatusCode.Conflict, "sweep-not-completed");
        }

        using HttpResponseMessage cancelled = await api.Client.Http.DeleteAsync($"/api/sweeps/{id}");
    }

    /// <summary>After a restart the model would be read again, and is not there: what the report needed is stored, and what was never asked for is refused.</summary>
    [Fact]
    public async Task When_the_model_has_gone_those_that_are_stored_are_given_and_others_are_a_conflict_that_says_why()
    {
        api.RequireServe();
        using var folder = new TemporaryFolder();
        RandomModelFolder.Write(folder["models/small"], layers: 2, heads: 8, width: 32, vocabulary: 60, context: 16, seed: 5);
        const string Body = """{"model": "small", "pairs": [{"clean": [1, 2, 3, 4], "corrupted": [1, 5, 3, 4], "correct": 6, "incorrect": 7}]}""";
        string id, strongest, weakest;
        await using (InProcessServer server = await InProcessServer.StartAsync(folder.Path))
        {
            id = await server.Client.StartAsync(Body);
            JsonElement[] heads = [.. (await server.Client.ResultsAsync(id)).GetProperty("heads").EnumerateArray().OrderByDescending(head => Math.Abs(head.GetProperty("patchingEffect").GetDouble()))];
            (strongest, weakest) = (heads[0].GetProperty("name").GetString()!, heads[^1].GetProperty("name").GetString()!);
        }

        Directory.Delete(folder["models/small"], recursive: true);
        await using InProcessServer later = await InProcessServer.StartAsync(folder.Path);
        Assert.Equal(4, (await later.Client.GetAsync($"/api/sweeps/{id}/patterns?head={strongest}&pair=0")).GetProperty("clean").GetArrayLength());
        using HttpResponseMessage gone = await later.Client.Http.GetAsync($"/api/sweeps/{id}/patterns?head={weakest}&pair=0");
        JsonElement problem = await gone.ReadProblemAsync(HttpStatusCode.Conflict, "model-unavailable");
        Assert.Contains("'small'", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }
}
