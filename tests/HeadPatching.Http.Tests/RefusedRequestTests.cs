using System.Net;
using System.Text;
using System.Text.Json;

namespace HeadPatching.Http.Tests;

/// <summary>What is refused, and how: every fault by its JSON path, every answer a problem.</summary>
[Collection<SharedServer>]
public sealed class RefusedRequestTests(ApiFixture api)
{
    private const string Pair = """{"clean": "a b", "corrupted": "a c", "correct": " Mary", "incorrect": " John"}""";

    public static TheoryData<string, string[]> BadBodies => new()
    {
        { "", ["$ malformed"] },
        { "null", ["$ malformed"] },
        { "[]", ["$ malformed"] },
        { """{"top": 1""", ["$ malformed"] },
        { """{"top": 1,}""", ["$ malformed"] },
        { """{"top": 1} {}""", ["$ malformed"] },
        { """{"threshold": NaN}""", ["$ malformed"] },
        { $$"""{"pairs": {{new string('[', 1000)}}{{new string(']', 1000)}}}""", ["$ malformed"] },
        { """{"ptach": "z"}""", ["ptach unknown-property"] },
        { """{"Patch": "z"}""", ["Patch unknown-property"] },
        { """{"patch": "Z"}""", ["patch invalid-option"] },
        { """{"patch": 0}""", ["patch invalid-option"] },
        { """{"patch": null}""", ["patch invalid-option"] },
        { """{"top": 1, "top": 2}""", ["top malformed"] },
        { """{"top": "1"}""", ["top malformed"] },
        { """{"top": 1.5}""", ["top malformed"] },
        { """{"top": 0}""", ["top invalid-option"] },
        { """{"threshold": "0.1"}""", ["threshold malformed"] },
        { """{"threshold": -1}""", ["threshold invalid-option"] },
        { """{"threshold": 1e999}""", ["threshold invalid-option"] },
        { """{"positions": "3"}""", ["positions invalid-option"] },
        { """{"positions": [1]}""", ["positions invalid-option"] },
        { """{"positions": "a role"}""", ["positions invalid-option"] },
        { """{"positions": "all", "reference": "ioi"}""", ["reference invalid-option"] },
        { """{"ablation": "mean", "reference": "abc"}""", ["reference unknown-dataset"] },
        { """{"ablation": "mean", "reference": 3}""", ["reference malformed"] },
        { """{"ablation": "mean", "reference": []}""", ["reference missing"] },
        { """{"ablation": "mean", "reference": [{"clean": [1]}]}""", ["reference[0].corrupted missing", "reference[0].correct missing", "reference[0].incorrect missing"] },
        {
            """{"pairs": [{"clean": [1], "corrupted": [2], "correct": 3, "incorrect": 4, "roles": {"S2": "1", "each": 2, "A": 0.5}, "template": 5}]}""",
            ["pairs[0].roles.S2 malformed", "pairs[0].roles malformed", "pairs[0].roles.A malformed", "pairs[0].template malformed"]
        },
        { """{"pairs": [{"clean": [1], "corrupted": [2], "correct": 3, "incorrect": 4, "roles": [1]}]}""", ["pairs[0].roles malformed"] },
        { """{"pairsFile": "No name"}""", ["pairsFile invalid-option"] },
        { """{"pairsFile": "nobody-s"}""", ["pairsFile not-found"] },
        { """{"dataset": "ioi", "pairsFile": "nobody-s"}""", ["dataset invalid-option"] },
        { """{"direction": "sideways"}""", ["direction invalid-option"] },
        { """{"aggregation": "meanOfRatios"}""", ["aggregation invalid-option"] },
        { """{"metric": "accuracy"}""", ["metric invalid-option"] },
        { """{"metric": "KlDivergence"}""", ["metric invalid-option"] },
        { """{"metric": "token-weights"}""", ["metric invalid-option"] },
        { """{"tokenWeights": {}}""", ["tokenWeights invalid-option"] },
        { """{"tokenWeights": {"": 1}}""", ["tokenWeights invalid-option"] },
        { $$$"""{"tokenWeights": {"{{{new string('a', 300)}}}": 1}}""", ["tokenWeights invalid-option"] },
        { """{"tokenWeights": [" Mary"]}""", ["tokenWeights malformed"] },
        { """{"tokenWeights": {" Mary": "1"}}""", ["tokenWeights malformed"] },
        { """{"tokenWeights": {" Mary": 1, " Mary": 2}}""", ["tokenWeights malformed"] },
        { """{"metric": "rank", "tokenWeights": {" Mary": 1}}""", ["tokenWeights invalid-option"] },
        { """{"ablation": "half"}""", ["ablation invalid-option"] },
        { """{"ablation": "zero", "patch": "attn_out"}""", ["ablation invalid-option"] },
        { """{"method": "guess"}""", ["method invalid-option"] },
        { """{"method": "screen", "screenTop": 0}""", ["screenTop invalid-option"] },
        { """{"screenTop": 5}""", ["screenTop invalid-option"] },
        { """{"gradient": "plain"}""", ["gradient invalid-option"] },
        { """{"method": "attribution", "gradient": "tangent"}""", ["gradient invalid-option"] },
        { """{"method": "attribution", "patch": "resid_pre"}""", ["method invalid-option"] },
        { """{"method": "attribution", "metric": "rank"}""", ["metric invalid-option"] },
        { """{"receivers": "logits"}""", ["receivers malformed"] },
        { """{"receivers": []}""", ["receivers missing"] },
        { """{"receivers": ["L2H6.q", "L2H6", 1]}""", ["receivers[1] invalid-option", "receivers[2] invalid-option"] },
        { """{"receivers": ["logits"], "method": "screen"}""", ["method invalid-option"] },
        { """{"freezeMlps": 1}""", ["freezeMlps malformed"] },
        { """{"freezeMlps": true}""", ["freezeMlps invalid-option"] },
        { """{"seed": "1"}""", ["seed malformed"] },
        { """{"seed": 0.5}""", ["seed malformed"] },
        { """{"seed": 2147483648}""", ["seed malformed"] },
        { """{"dtype": "float8"}""", ["dtype invalid-option"] },
        { """{"device": "tpu"}""", ["device invalid-option"] },
        { """{"memoryMiB": 1000000}""", ["memoryMiB too-large"] },
        { """{"model": "gpt-5"}""", ["model unknown-model"] },
        { """{"model": "../ioi-demo"}""", ["model unknown-model"] },
        { """{"model": "/etc"}""", ["model unknown-model"] },
        { """{"model": ""}""", ["model unknown-model"] },
        { """{"model": "\ud83d"}""", ["model malformed"] },
        { """{"patch": "\ud83d"}""", ["patch invalid-option"] },
        { """{"positions": "\ud83d"}""", ["positions invalid-option"] },
        { """{"\ud83d": 1}""", ["$ malformed"] },
        { """{"dataset": "mine"}""", ["dataset unknown-dataset"] },
        { """{"dataset": 1}""", ["dataset malformed"] },
        { $$"""{"dataset": "ioi", "pairs": [{{Pair}}]}""", ["dataset invalid-option"] },
        { """{"count": 5}""", ["count invalid-option"] },
        { """{"dataset": "ioi-order", "count": 5}""", ["count invalid-option"] },
        { $$"""{"pairs": [{{Pair}}], "count": 1}""", ["count invalid-option"] },
        { """{"dataset": "induction", "count": 0}""", ["count invalid-option"] },
        { """{"dataset": "induction", "count": 1000001}""", ["count invalid-option"] },
        { """{"dataset": "induction", "count": "5", "seed": 1.5}""", ["count malformed", "seed malformed"] },
        { """{"dataset": "none", "count": 5}""", ["dataset unknown-dataset"] },
        {
            """{"pairs": [{"clean": [1], "corrupted": [2], "correct": [1, true], "incorrect": []}]}""",
            ["pairs[0].correct[1] malformed", "pairs[0].incorrect missing"]
        },
        { """{"pairs": []}""", ["pairs missing"] },
        { """{"pairs": {}}""", ["pairs malformed"] },
        { """{"pairs": [1]}""", ["pairs[0] malformed"] },
        { """{"pairIndices": [0, "1", 2.5]}""", ["pairIndices[1] malformed", "pairIndices[2] malformed"] },
        {
            $$"""{"pairs": [{{Pair}}, {"clean": 5, "corrupted": ["x"], "correct": null, "extra": 1}]}""",
            ["pairs[1].clean malformed", "pairs[1].corrupted[0] malformed", "pairs[1].correct malformed", "pairs[1].extra unknown-property", "pairs[1].incorrect missing"]
        },
        {
            """{"patch": "zz", "top": 0, "model": "x", "nonsense": {}, "positions": true}""",
            ["patch invalid-option", "nonsense unknown-property", "positions invalid-option", "model unknown-model", "top invalid-option"]
        },
    };

    [Theory]
    [MemberData(nameof(BadBodies))]
    public async Task Every_fault_is_named_by_its_path(string body, string[] faults)
    {
        using HttpResponseMessage refused = await api.Client.PostAsync(body);
        JsonElement problem = await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
        Assert.Equal(faults, problem.Faults());
        Assert.All(problem.GetProperty("errors").EnumerateArray(), fault => Assert.NotEmpty(fault.GetProperty("message").GetString()!));
    }

    [Theory]
    [InlineData("""{"patch": "pattren"}""", "pattern")]
    [InlineData("""{"ptach": "z"}""", "patch")]
    [InlineData("""{"dataset": "ioi_generated"}""", "ioi-generated")]
    [InlineData("""{"model": "ioi-dmeo"}""", "ioi-demo")]
    [InlineData("""{"pairs": [{"clean": [1], "corrupted": [2], "correct": 3, "incorect": 4, "incorrect": 4}]}""", "incorrect")]
    public async Task A_misspelt_name_is_answered_with_what_was_probably_meant(string body, string meant)
    {
        using HttpResponseMessage refused = await api.Client.PostAsync(body);
        JsonElement problem = await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
        Assert.Contains($"Did you mean '{meant}'?", Assert.Single(problem.GetProperty("errors").EnumerateArray()).GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Text_that_is_not_UTF8_is_refused()
    {
        using HttpResponseMessage refused = await api.Client.PostAsync([.. "{\"model\": \""u8, 0xFF, 0xFE, .. "\"}"u8]);
        await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
    }

    [Fact]
    public async Task Of_many_faults_a_hundred_are_listed_and_all_counted()
    {
        string body = $$"""{"pairs": [{{string.Join(',', Enumerable.Repeat("{}", 1000))}}]}""";
        using HttpResponseMessage refused = await api.Client.PostAsync(body);
        JsonElement problem = await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request");
        Assert.Equal(100, problem.GetProperty("errors").GetArrayLength());
        Assert.Contains("4000", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Too_many_pairs_and_too_long_prompts_are_refused()
    {
        string manyPairs = $$"""{"pairs": [{{string.Join(',', Enumerable.Repeat(Pair, 10_001))}}]}""";
        await AssertFaultAsync(manyPairs, "pairs too-large");
        await AssertFaultAsync(PairWithClean($"\"{new string('x', 32_769)}\""), "pairs[0].clean too-large");
        await AssertFaultAsync(PairWithClean($"[{string.Join(',', Enumerable.Repeat("1", 8_193))}]"), "pairs[0].clean too-large");
        await AssertFaultAsync($$"""{"model": "{{new string('m', 201)}}"}""", "model too-large");

        static string PairWithClean(string clean) => $$"""{"pairs": [{"clean": {{clean}}, "corrupted": [1], "correct": 1, "incorrect": 2}]}""";

        async Task AssertFaultAsync(string body, string fault)
        {
            using HttpResponseMessage refused = await api.Client.PostAsync(body);
            Assert.Equal([fault], (await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
        }
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("")]
    public async Task Only_JSON_is_read(string contentType)
    {
        using HttpResponseMessage refused = await api.Client.PostAsync(Encoding.UTF8.GetBytes("{}"), contentType: contentType);
        await refused.ReadProblemAsync(HttpStatusCode.UnsupportedMediaType, "unsupported-media-type");
    }

    [Theory]
    [InlineData("x")]
    [InlineData("n000000000000000000000000")]
    [InlineData("N000000000000000000000000")]
    [InlineData("..%2f..%2fetc%2fpasswd")]
    [InlineData("%2e%2e")]
    [InlineData("..%5c..%5cwindows")]
    [InlineData("n00000000000000000000000%00")]
    [InlineData("%0d%0aSet-Cookie:a=b")]
    [InlineData("sweeps%2fn000000000000000000000000")]
    public async Task An_id_of_no_sweep_is_not_found_whatever_it_looks_like(string id)
    {
        foreach (string suffix in (string[])["", "/results", "/heatmap.png", "/report"])
        {
            // As it stands: the client would else resolve the dots itself.
            string status = await RawHttp.StatusAsync(api.Address, $"GET /api/sweeps/{id}{suffix} HTTP/1.1");
            Assert.Contains(status, (string[])["404", "400"]); // 400 where the server refuses the very line
        }

        Assert.Contains(await RawHttp.StatusAsync(api.Address, $"DELETE /api/sweeps/{id} HTTP/1.1"), (string[])["404", "405", "400"]);
    }

    [Fact]
    public async Task Unknown_paths_and_methods_are_problems_too()
    {
        using HttpResponseMessage unknown = await api.Client.Http.GetAsync("/api/nothing");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        using HttpResponseMessage method = await api.Client.Http.PutAsync("/api/sweeps", new StringContent("{}"));
        Assert.Contains(method.StatusCode, (HttpStatusCode[])[HttpStatusCode.MethodNotAllowed, HttpStatusCode.NotFound]);

        api.RequireServe(); // in Azure Functions these two are the platform's own answers
        await unknown.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-route");
        await method.ReadProblemAsync(HttpStatusCode.MethodNotAllowed, "method-not-allowed");
        Assert.Equal(["GET", "HEAD", "POST"], method.Content.Headers.Allow.Order());
    }

    [Fact]
    public async Task A_body_that_says_it_is_too_large_is_refused_before_any_of_it_is_sent()
    {
        api.RequireServe();
        string answer = await RawHttp.AnswerAsync(
            api.Address, "POST /api/sweeps HTTP/1.1", "Content-Type: application/json", $"Content-Length: {1L << 40}");
        Assert.StartsWith("HTTP/1.1 413", answer, StringComparison.Ordinal);
        Assert.Contains("urn:headpatching:problem:body-too-large", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_without_an_end_is_refused_at_the_bound()
    {
        api.RequireServe();
        var (answer, sent) = await RawHttp.PostEndlesslyAsync(api.Address, mostBytes: 256L << 20);
        Assert.StartsWith("HTTP/1.1 413", answer, StringComparison.Ordinal);
        TestContext.Current.TestOutputHelper?.WriteLine($"Endless body: refused after {sent >> 20} MiB were sent (bound 8 MiB, the rest lay in buffers).");
        Assert.InRange(sent, 8L << 20, 128L << 20);
    }

    [Theory]
    [InlineData("Host: attacker.example")]
    [InlineData("Host: 127.0.0.1.attacker.example:80")]
    [InlineData("Host: 192.168.0.1")]
    public async Task A_host_name_that_is_not_this_machines_is_refused(string host)
    {
        api.RequireServe();
        string answer = await RawHttp.AnswerAsync(api.Address, "GET /api/sweeps HTTP/1.1", host);
        Assert.StartsWith("HTTP/1.1 403", answer, StringComparison.Ordinal);
        Assert.Contains("urn:headpatching:problem:unknown-host", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Origin", "http://attacker.example")]
    [InlineData("Origin", "null")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    public async Task A_page_of_another_site_cannot_start_or_delete_sweeps(string header, string value)
    {
        api.RequireServe();
        foreach (HttpMethod method in (HttpMethod[])[HttpMethod.Post, HttpMethod.Delete])
        {
            string path = method == HttpMethod.Post ? "/api/sweeps" : "/api/sweeps/n000000000000000000000000";
            using var request = new HttpRequestMessage(method, path) { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
            request.Headers.TryAddWithoutValidation(header, value);
            using HttpResponseMessage refused = await api.Client.Http.SendAsync(request);
            await refused.ReadProblemAsync(HttpStatusCode.Forbidden, "cross-site");
        }
    }

    [Fact]
    public async Task The_servers_own_page_can_start_sweeps()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/sweeps") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        request.Headers.TryAddWithoutValidation("Origin", api.Address.GetLeftPart(UriPartial.Authority));
        request.Headers.TryAddWithoutValidation("Sec-Fetch-Site", "same-origin");
        using HttpResponseMessage accepted = await api.Client.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
    }
}
