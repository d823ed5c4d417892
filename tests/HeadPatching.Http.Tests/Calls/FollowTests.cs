using System.Net;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Calls;

/// <summary>Following a sweep without asking again and again: server-sent events, a call that waits, and tags.</summary>
[Collection<SharedServer>]
public sealed class FollowTests(ApiFixture api)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Events_follow_a_sweep_to_its_end_and_then_the_stream_ends()
    {
        await api.RequireLongModelAsync();
        string id = await api.Client.StartAsync(LongSweep.Body(pairs: 8, seed: 5));
        List<SseItem<string>> events = await EventsAsync(id);

        Assert.All(events, one => Assert.Contains(one.EventType, (string[])["status", "heartbeat"]));
        SseItem<string>[] statuses = [.. events.Where(one => one.EventType == "status")];
        Assert.True(statuses.Length >= 2); // it ran for some time
        Assert.Equal(statuses.Length, statuses.Select(one => one.EventId).Distinct().Count());
        Assert.All(statuses[..^1], one => Assert.Contains(State(one.Data), (string[])["queued", "running"]));
        Assert.Equal("completed", State(statuses[^1].Data));
        Assert.Equal((await api.Client.GetAsync($"/api/sweeps/{id}")).ToString(), JsonDocument.Parse(statuses[^1].Data).RootElement.ToString());

        // Who has had the last event is told that there are no more; who has had another gets the last.
        using HttpResponseMessage none = await StreamAsync(id, statuses[^1].EventId);
        Assert.Equal(HttpStatusCode.NoContent, none.StatusCode);
        Assert.Equal(statuses[^1].EventId, Assert.Single(await EventsAsync(id, statuses[0].EventId)).EventId);
    }

    [Fact]
    public async Task Events_of_a_sweep_that_is_deleted_say_that_it_is_gone()
    {
        await api.RequireLongModelAsync();
        string id = await api.Client.StartAsync(LongSweep.Body(pairs: 300, seed: 6));
        await api.Client.WaitAsync(id, status => status.GetProperty("status").GetString() == "running");
        Task<List<SseItem<string>>> follow = EventsAsync(id);
        await api.Client.Http.DeleteAsync($"/api/sweeps/{id}", Stop);
        Assert.Equal("cancelled", State((await follow)[^1].Data));

        using HttpResponseMessage unknown = await StreamAsync("n000000000000000000000000");
        await unknown.ReadProblemAsync(HttpStatusCode.NotFound, "unknown-sweep");
    }

    [Fact]
    public async Task More_streams_than_may_be_are_refused_and_the_status_is_still_told()
    {
        api.RequireServe();
        await api.RequireLongModelAsync();
        string id = await api.Client.StartAsync(LongSweep.Body(pairs: 300, seed: 7));
        HttpResponseMessage[] streams = await Task.WhenAll(Enumerable.Range(0, 80).Select(_ => StreamAsync(id)));
        HttpResponseMessage[] refused = [.. streams.Where(stream => stream.StatusCode != HttpStatusCode.OK)];
        Assert.InRange(refused.Length, 80 - 64, 79);
        await refused[0].ReadProblemAsync(HttpStatusCode.TooManyRequests, "too-many-watchers");
        using HttpResponseMessage waits = await api.Client.Http.GetAsync($"/api/sweeps/{id}?wait=20", Stop); // at once: there is no place to wait
        Assert.Equal(HttpStatusCode.OK, waits.StatusCode);

        foreach (HttpResponseMessage stream in streams)
        {
            stream.Dispose();
        }

        await api.Client.Http.DeleteAsync($"/api/sweeps/{id}", Stop);
        await api.Client.WaitForEndAsync(id);

        // Their places are given back.
        for (int tries = 0; ; tries++)
        {
            using HttpResponseMessage again = await StreamAsync(id);
            if (again.StatusCode == HttpStatusCode.OK)
            {
                break;
            }

            Assert.True(tries < 100);
            await Task.Delay(100, Stop);
        }
    }

    [Fact]
    public async Task A_call_that_waits_is_answered_when_the_sweep_has_changed()
    {
        await api.RequireLongModelAsync();
        string id = await api.Client.StartAsync(LongSweep.Body(pairs: 300, seed: 8));
        await api.Client.WaitAsync(id, status => status.GetProperty("status").GetString() == "running");
        Task<HttpResponseMessage> waiting = Task.Run(async () =>
        {
            HttpResponseMessage answer;
            EntityTagHeaderValue? tag = null;
            do
            {
                answer = await GetAsync($"/api/sweeps/{id}?wait=30", tag);
                tag = answer.Headers.ETag;
            }
            while (answer.StatusCode == HttpStatusCode.NotModified || State(await answer.Content.ReadAsStringAsync()) == "running");
            return answer;
        });
        await api.Client.Http.DeleteAsync($"/api/sweeps/{id}", Stop);
        using HttpResponseMessage ended = await waiting;
        Assert.Equal("cancelled", State(await ended.Content.ReadAsStringAsync(Stop)));
    }

    [Fact]
    public async Task What_the_caller_has_is_not_sent_again_and_an_ended_sweep_is_not_waited_for()
    {
        string id = await api.Client.StartAsync("{}");
        await api.Client.WaitForEndAsync(id);
        foreach (string path in (string[])[$"/api/sweeps/{id}", $"/api/sweeps/{id}?wait=30", $"/api/sweeps/{id}/request", $"/api/sweeps?q={id}", $"/api/sweeps/{id}/results", $"/api/sweeps/{id}/heatmap.svg"])
        {
            using HttpResponseMessage first = await api.Client.Http.GetAsync(path, Stop);
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
            using HttpResponseMessage again = await GetAsync(path, first.Headers.ETag!);
            Assert.Equal(HttpStatusCode.NotModified, again.StatusCode);
            Assert.Empty(await again.Content.ReadAsByteArrayAsync(Stop));
        }

        foreach (string wait in (string[])["31", "-1", "soon", ""])
        {
            using HttpResponseMessage refused = await api.Client.Http.GetAsync($"/api/sweeps/{id}?wait={wait}", Stop);
            Assert.Equal(["wait invalid-option"], (await refused.ReadProblemAsync(HttpStatusCode.BadRequest, "invalid-request")).Faults());
        }
    }

    private static string? State(string json) => JsonDocument.Parse(json).RootElement.GetProperty("status").GetString();

    private async Task<HttpResponseMessage> GetAsync(string path, EntityTagHeaderValue? tag)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (tag is not null)
        {
            request.Headers.IfNoneMatch.Add(tag);
        }

        return await api.Client.Http.SendAsync(request, Stop);
    }

    private async Task<HttpResponseMessage> StreamAsync(string id, string? lastId = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/sweeps/{id}/events");
        if (lastId is not null)
        {
            request.Headers.Add("Last-Event-ID", lastId);
        }

        return await api.Client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop);
    }

    private async Task<List<SseItem<string>>> EventsAsync(string id, string? lastId = null)
    {
        using HttpResponseMessage response = await StreamAsync(id, lastId);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        return await SseParser.Create(await response.Content.ReadAsStreamAsync(Stop)).EnumerateAsync(Stop).ToListAsync(Stop);
    }
}
