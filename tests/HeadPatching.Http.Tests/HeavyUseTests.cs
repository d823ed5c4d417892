using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests;

/// <summary>Hostile and heavy use; the figures are in the test output.</summary>
[Collection<SharedServer>]
public sealed class HeavyUseTests(ApiFixture api, ITestOutputHelper output)
{
    private const int Seed = 20_250_101;

    [Fact]
    public async Task Thousands_of_hostile_bodies_bring_no_5xx_and_harm_no_running_sweep()
    {
        string request = await HasLongModelAsync() ? LongSweep.Body(pairs: 30, seed: 2) : """{"positions": "each"}""";
        JsonElement expected = (await api.Client.ResultsAsync(await api.Client.StartAsync(request))).GetProperty("heads");
        string running = await api.Client.StartAsync(request);
        await api.Client.WaitAsync(running, status => status.GetProperty("status").GetString() != "queued");

        var answers = new ConcurrentDictionary<HttpStatusCode, int>();
        var stopwatch = Stopwatch.StartNew();
        var options = new ParallelOptions { MaxDegreeOfParallelism = 8 };
        await Parallel.ForEachAsync(new HostileBodies(Seed).Take(2400), options, async (body, stop) =>
        {
            using HttpResponseMessage response = await api.Client.PostAsync(body);
            answers.AddOrUpdate(response.StatusCode, 1, (_, count) => count + 1);
            Assert.True(response.StatusCode is HttpStatusCode.Accepted or HttpStatusCode.BadRequest, $"{response.StatusCode} for {Convert.ToBase64String(body)}");
            if (response.StatusCode == HttpStatusCode.Accepted)
            {
                // Some are valid after all; they need not run to their end.
                JsonElement accepted = await response.Content.ReadFromJsonAsync<JsonElement>(stop);
                using HttpResponseMessage removed = await api.Client.Http.DeleteAsync(accepted.GetProperty("links").GetProperty("self").GetString(), stop);
                Assert.Equal(HttpStatusCode.Accepted, removed.StatusCode);
            }
        });
        output.WriteLine(
            $"2,400 hostile bodies in {stopwatch.Elapsed.TotalSeconds:F1} s: "
            + string.Join(", ", answers.OrderBy(answer => answer.Key).Select(answer => $"{answer.Value} x {(int)answer.Key}")) + ".");

        JsonElement actual = (await api.Client.ResultsAsync(running)).GetProperty("heads");
        Assert.Equal(expected.ToString(), actual.ToString());
        Assert.Equal("ok", (await api.Client.GetAsync("/api/health")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Fifty_sweeps_posted_at_once_all_complete_and_no_more_run_at_once_than_the_server_was_told()
    {
        var stopwatch = Stopwatch.StartNew();
        string[] ids = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => api.Client.StartAsync($$"""{"top": {{i + 1}}, "positions": "each"}""")));
        double accepted = stopwatch.Elapsed.TotalSeconds;

        int mostRunning = 0;
        while (true)
        {
            JsonElement[] mine = [.. (await api.Client.GetAsync("/api/sweeps?limit=1000")).GetProperty("sweeps").EnumerateArray()
                .Where(sweep => ids.Contains(sweep.GetProperty("id").GetString()))];
            mostRunning = Math.Max(mostRunning, mine.Count(sweep => sweep.GetProperty("status").GetString() == "running"));
            Assert.DoesNotContain(mine, sweep => sweep.GetProperty("status").GetString() is "failed" or "cancelled");
            if (mine.Count(sweep => sweep.GetProperty("status").GetString() == "completed") == ids.Length)
            {
                break;
            }
        }

        output.WriteLine($"50 sweeps: accepted within {accepted:F1} s, completed within {stopwatch.Elapsed.TotalSeconds:F1} s, at most {mostRunning} running at once.");
        string[] heads = await Task.WhenAll(ids.Select(async id => (await api.Client.ResultsAsync(id)).GetProperty("heads").ToString()));
        Assert.Single(heads.Distinct());
        if (!api.IsExternal)
        {
            Assert.InRange(mostRunning, 1, ApiFixture.SweepsAtOnce);
        }
    }

    private async Task<bool> HasLongModelAsync() => (await api.Client.GetAsync("/api/models")).GetProperty("models").EnumerateArray()
        .Any(model => model.GetProperty("name").GetString() == LongSweep.Model);
}
