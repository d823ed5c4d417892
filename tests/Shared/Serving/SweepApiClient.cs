using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace HeadPatching.Testing;

/// <summary>Calls the API as any program would.</summary>
internal sealed class SweepApiClient : IDisposable
{
    private static readonly TimeSpan LongestSweep = TimeSpan.FromMinutes(3);

    public SweepApiClient(Uri address, string? key = null)
    {
        // One connection a call at most, and no proxy of the machine's between.
        Http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { BaseAddress = address, Timeout = LongestSweep };
        if (key is not null)
        {
            Http.DefaultRequestHeaders.Add("x-functions-key", key);
        }
    }

    public HttpClient Http { get; }

    /// <summary>POST /api/sweeps with any body.</summary>
    public async Task<HttpResponseMessage> PostAsync(byte[] body, string? idempotencyKey = null, string contentType = "application/json")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/sweeps") { Content = new ByteArrayContent(body) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        if (idempotencyKey is not null)
        {
            request.Headers.TryAddWithoutValidation("Idempotency-Key", idempotencyKey);
        }

        return await Http.SendAsync(request);
    }

    /// <inheritdoc cref="PostAsync(byte[], string?, string)"/>
    public Task<HttpResponseMessage> PostAsync(string body, string? idempotencyKey = null) => PostAsync(Encoding.UTF8.GetBytes(body), idempotencyKey);

    /// <summary>Starts a sweep that must be accepted.</summary>
    /// <returns>Its id.</returns>
    public async Task<string> StartAsync(string body, string? idempotencyKey = null)
    {
        using HttpResponseMessage response = await PostAsync(body, idempotencyKey);
        JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(response.StatusCode == HttpStatusCode.Accepted, answer.ToString());
        return answer.GetProperty("id").GetString()!;
    }

    /// <summary>GET of JSON that must be there.</summary>
    public async Task<JsonElement> GetAsync(string path)
    {
        using HttpResponseMessage response = await Http.GetAsync(path);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    /// <summary>Polls a sweep's status until it is as wanted.</summary>
    public async Task<JsonElement> WaitAsync(string id, Func<JsonElement, bool> until)
    {
        using var patience = new CancellationTokenSource(LongestSweep);
        while (true)
        {
            JsonElement status = await GetAsync($"/api/sweeps/{id}");
            if (until(status))
            {
                return status;
            }

            await Task.Delay(50, patience.Token);
        }
    }

    /// <summary>Waits for a sweep's end, however it ends.</summary>
    public Task<JsonElement> WaitForEndAsync(string id) =>
        WaitAsync(id, status => status.GetProperty("status").GetString() is "completed" or "failed" or "cancelled" or "damaged");

    /// <summary>Waits for a sweep that must complete.</summary>
    /// <returns>Its results.</returns>
    public async Task<JsonElement> ResultsAsync(string id)
    {
        JsonElement status = await WaitForEndAsync(id);
        Assert.True(status.GetProperty("status").GetString() == "completed", status.ToString());
        return await GetAsync($"/api/sweeps/{id}/results");
    }

    public void Dispose() => Http.Dispose();
}
