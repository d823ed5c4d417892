using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Calls;

/// <summary>HEAD, and compressed answers.</summary>
[Collection<SharedServer>]
public sealed class WireTests(ApiFixture api)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whatever_GET_may_be_asked_HEAD_may_and_has_no_body()
    {
        string id = await api.Client.StartAsync("{}");
        await api.Client.WaitForEndAsync(id);
        JsonElement paths = (await api.Client.GetAsync("/api/openapi.json")).GetProperty("paths");
        string[] gets = [.. paths.EnumerateObject().Where(path => path.Value.TryGetProperty("get", out _)).Select(path => path.Name.Replace("{id}", id, StringComparison.Ordinal)), "/api/openapi.json"];
        Assert.True(gets.Length > 12);
        foreach (string path in gets)
        {
            // The stream of events has a last event for a GET, and HEAD does not wait for it.
            using HttpResponseMessage get = await api.Client.Http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead, Stop);
            using var request = new HttpRequestMessage(HttpMethod.Head, path);
            using HttpResponseMessage head = await api.Client.Http.SendAsync(request, Stop);
            Assert.True(head.StatusCode == get.StatusCode, $"{path}: {head.StatusCode}");
            Assert.Equal(get.Content.Headers.ContentType?.ToString(), head.Content.Headers.ContentType?.ToString());
            Assert.Equal(get.Headers.ETag, head.Headers.ETag);
            Assert.Empty(await head.Content.ReadAsByteArrayAsync(Stop));
        }
    }

    [Theory]
    [InlineData("br")]
    [InlineData("gzip")]
    public async Task Text_goes_out_compressed_where_the_caller_takes_that_and_pictures_and_Parquet_as_they_are(string encoding)
    {
        api.RequireServe();
        string id = await api.Client.StartAsync("{}");
        await api.Client.WaitForEndAsync(id);
        foreach (string path in (string[])["results", "heatmap.svg", "heatmap.csv", "heads.csv", "report", "heatmap.png", "effects.parquet"])
        {
            byte[] plain = await api.Client.Http.GetByteArrayAsync($"/api/sweeps/{id}/{path}", Stop);
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/sweeps/{id}/{path}");
            request.Headers.Add("Accept-Encoding", encoding);
            using HttpResponseMessage answer = await api.Client.Http.SendAsync(request, Stop);
            await using Stream body = await answer.Content.ReadAsStreamAsync(Stop);
            bool isText = path is not ("heatmap.png" or "effects.parquet");
            Assert.Equal(isText ? [encoding] : [], answer.Content.Headers.ContentEncoding);
            Assert.Equal(isText, answer.Headers.Vary.Contains("Accept-Encoding"));
            using Stream read = !isText ? body : encoding == "br" ? new BrotliStream(body, CompressionMode.Decompress) : new GZipStream(body, CompressionMode.Decompress);
            using var whole = new MemoryStream();
            await read.CopyToAsync(whole, Stop);
            Assert.Equal(plain, whole.ToArray());
        }
    }

    [Fact]
    public async Task A_page_of_another_origin_may_call_where_the_user_names_it_exactly()
    {
        using var folder = new Testing.TemporaryFolder();
        using Server server = await Server.StartAsync(folder.Path, "--store", folder["store"], "--cors-origin", "https://notebooks.example.org", "http://127.0.0.1:8888");
        foreach (string origin in (string[])["https://notebooks.example.org", "http://127.0.0.1:8888"])
        {
            using HttpResponseMessage preflight = await SendAsync(server, HttpMethod.Options, origin, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type,idempotency-key"));
            Assert.Equal(HttpStatusCode.NoContent, preflight.StatusCode);
            Assert.Equal([origin], preflight.Headers.GetValues("Access-Control-Allow-Origin"));
            Assert.Contains("POST", preflight.Headers.GetValues("Access-Control-Allow-Methods").Single(), StringComparison.Ordinal);

            using HttpResponseMessage post = await SendAsync(server, HttpMethod.Post, origin, ("Sec-Fetch-Site", "cross-site"));
            Assert.Equal(HttpStatusCode.Accepted, post.StatusCode);
            Assert.Equal([origin], post.Headers.GetValues("Access-Control-Allow-Origin"));
            Assert.Contains("ETag", post.Headers.GetValues("Access-Control-Expose-Headers").Single(), StringComparison.Ordinal);
            Assert.False(post.Headers.Contains("Access-Control-Allow-Credentials"));
        }

        foreach (string origin in (string[])["https://notebooks.example.org.attacker.example", "http://notebooks.example.org", "https://notebooks.example.org:444", "https://NOTEBOOKS.example.org/", "null"])
        {
            using HttpResponseMessage preflight = await SendAsync(server, HttpMethod.Options, origin, ("Access-Control-Request-Method", "POST"));
            using HttpResponseMessage post = await SendAsync(server, HttpMethod.Post, origin);
            using HttpResponseMessage get = await SendAsync(server, HttpMethod.Get, origin);
            Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden, HttpStatusCode.OK), (preflight.StatusCode, post.StatusCode, get.StatusCode));
            Assert.All([preflight, post, get], answer => Assert.False(answer.Headers.Contains("Access-Control-Allow-Origin")));
        }
    }

    [Theory]
    [InlineData("*")]
    [InlineData("notebooks.example.org")]
    [InlineData("https://notebooks.example.org/")]
    [InlineData("https://*.example.org")]
    public async Task What_is_no_origin_is_refused_at_the_start(string origin)
    {
        using var folder = new Testing.TemporaryFolder();
        var (exitCode, _, error) = await Testing.HeadpatchProcess.RunAsync(folder.Path, "serve", "--store", folder["store"], "--urls", "http://127.0.0.1:0", "--cors-origin", origin);
        Assert.Equal(2, exitCode);
        Assert.Contains("--cors-origin", error, StringComparison.Ordinal);
        Assert.Contains($"'{origin}' is no origin", error, StringComparison.Ordinal);
    }

    private static async Task<HttpResponseMessage> SendAsync(Server server, HttpMethod method, string origin, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, "/api/sweeps");
        request.Headers.Add("Origin", origin);
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        if (method == HttpMethod.Post)
        {
            request.Content = new StringContent("{}", Encoding.UTF8, "application/json");
        }

        return await server.Client.Http.SendAsync(request, Stop);
    }
}
