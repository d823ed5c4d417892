using System.Text.Json;
using HeadPatching.Testing;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace HeadPatching.Pages.Tests;

/// <summary>The list of the page: what tells sweeps apart, search, several at once, "again, with changes", a file of pairs; and the page of the API.</summary>
public sealed class SweepListTests(Chromium chromium)
{
    private const string Pair =
        """{"clean": "When Mary and John went to the store, John gave a drink to", "corrupted": "When Mary and John went to the store, Mary gave a drink to", "correct": " Mary", "incorrect": " John"}""";

    [Fact]
    public async Task A_sweep_shows_its_name_its_strongest_head_and_a_small_heatmap_that_leads_to_its_report()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        IPage page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await page.FillAsync("#name", "before <b>the</b> fix");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".sweep h3")).ToHaveTextAsync("before <b>the</b> fix");
        await Expect(page.Locator(".sweep .facts")).ToContainTextAsync("ioi-demo on ioi");
        await Expect(page.Locator(".sweep .kind")).ToHaveTextAsync("5 pairs · denoise · logit-difference · float32");
        string id = (await page.Locator(".sweep").GetAttributeAsync("data-id"))!;
        JsonElement strongest = (await server.Client.WaitForEndAsync(id)).GetProperty("strongest");
        await Expect(page.Locator(".sweep .strongest")).ToContainTextAsync($"strongest {strongest.GetProperty("name").GetString()} +0.");
        await Expect(page.Locator(".stamp path.positive").First).ToHaveAttributeAsync("d", new System.Text.RegularExpressions.Regex("^M"));
        await Expect(page.Locator(".stamp title")).ToContainTextAsync(strongest.GetProperty("name").GetString()!);
        await page.ClickAsync(".stamp");
        await Expect(page).ToHaveURLAsync(new System.Text.RegularExpressions.Regex($"/api/sweeps/{id}/report$"));
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task The_list_is_searched_and_filtered_and_several_sweeps_are_deleted_after_a_question()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        IPage page = watched.Page;
        foreach (string body in (string[])["""{"name": "apple"}""", """{"name": "pear"}""", """{"name": "apple pie", "pairs": [{"clean": [1, 2], "corrupted": [1], "correct": 3, "incorrect": 4}]}"""])
        {
            await server.Client.WaitForEndAsync(await server.Client.StartAsync(body));
        }

        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(3);
        await page.FillAsync("#search", "apple");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(2);
        await page.SelectOptionAsync("#only-status", "failed");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(1);
        await page.FillAsync("#search", "pear");
        await Expect(page.Locator("#none-found")).ToBeVisibleAsync();
        await Expect(page.Locator("#empty")).ToBeHiddenAsync();
        await page.ClickAsync("#find-all");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(3);

        await page.FillAsync("#search", "apple");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(2);
        await page.CheckAsync("#choose-all");
        await Expect(page.Locator("#chosen-text")).ToHaveTextAsync("2 sweeps chosen");
        await page.ClickAsync("#delete-chosen");
        await Expect(page.Locator("#confirm-title")).ToHaveTextAsync("Delete 2 sweeps?");
        await page.ClickAsync("#confirm-no");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(2);
        await page.ClickAsync("#delete-chosen");
        await page.ClickAsync("#confirm-yes");
        await Expect(page.Locator("#none-found")).ToBeVisibleAsync();
        await Expect(page.Locator("#announcement")).ToHaveTextAsync("2 sweeps are deleted.");
        await page.ClickAsync("#find-all");
        await Expect(page.Locator(".sweep h3")).ToHaveTextAsync("pear");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Again_with_changes_fills_the_form_as_the_sweep_was_asked_and_sends_along_what_it_has_no_field_for()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        IPage page = watched.Page;
        string id = await server.Client.StartAsync(
            $$"""{"name": "mine", "pairs": [{{Pair}}, {{Pair}}], "pairIndices": [0], "patch": "v", "positions": -1, "tokenWeights": {" Mary": 1}, "threshold": 0.25, "method": "attribution", "gradient": "plain", "skipInvalid": true}""");
        await server.Client.WaitForEndAsync(id);
        await page.GotoAsync(server.Address.AbsoluteUri);
        await page.ClickAsync(".sweep .again");

        await Expect(page.Locator("#name")).ToHaveValueAsync("mine");
        await Expect(page.Locator("#name")).ToBeFocusedAsync();
        await Expect(page.Locator("#patch")).ToHaveValueAsync("v");
        await Expect(page.Locator("#positions")).ToHaveValueAsync("one");
        await Expect(page.Locator("#position")).ToHaveValueAsync("-1");
        await Expect(page.Locator("#tokenWeights")).ToHaveValueAsync("\" Mary\":1");
        await Expect(page.Locator("#gradient")).ToHaveValueAsync("plain");
        await Expect(page.Locator("#skipInvalid")).ToBeCheckedAsync();
        Assert.Equal(2, (await page.InputValueAsync("#pairs")).Trim().Split('\n').Length);
        await Expect(page.Locator("#carried-text")).ToHaveTextAsync("As in that sweep, beside what the form shows: pairIndices.");

        await page.FillAsync("#name", "mine, once more");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(2);
        string again = (await page.Locator(".sweep").First.GetAttributeAsync("data-id"))!;
        JsonElement first = await server.Client.GetAsync($"/api/sweeps/{id}/request"), second = await server.Client.GetAsync($"/api/sweeps/{again}/request");
        Assert.Equal("denoise", second.GetProperty("direction").GetString()); // the default, which the form says
        Assert.Equal(
            first.ToString().Replace("\"mine\"", "\"mine, once more\"", StringComparison.Ordinal),
            second.ToString().Replace("\"direction\":\"denoise\",", "", StringComparison.Ordinal));

        await page.ClickAsync("#carry-nothing");
        await Expect(page.Locator("#carried")).ToBeHiddenAsync();
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Pairs_are_taken_from_a_file_and_its_faults_have_their_lines()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        IPage page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await page.SelectOptionAsync("#dataset", "");
        await TakeAsync("faulty.jsonl", $"{Pair}\n\n{{\"clean\": oops}}\n[1]\n");
        await Expect(page.Locator("#faults-pairs li")).ToHaveCountAsync(2);
        await Expect(page.Locator("#faults-pairs")).ToContainTextAsync("line 3, pairs[1]");
        await Expect(page.Locator("#faults-pairs")).ToContainTextAsync("line 4, pairs[2]");

        await TakeAsync("large.jsonl", new string(' ', (8 << 20) + 1));
        await Expect(page.Locator("#faults-pairs")).ToContainTextAsync("too large for a request");
        await TakeAsync("other.json", "{\n\"a\": 1\n}");
        await Expect(page.Locator("#faults-pairs")).ToContainTextAsync("no array of pairs");

        await page.FillAsync("#name", "");
        await TakeAsync("two.json", $"[{Pair},\n {Pair}]");
        await Expect(page.Locator("#faults-pairs li")).ToHaveCountAsync(0);
        await Expect(page.Locator("#name")).ToHaveValueAsync("two.json");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("completed");
        await Expect(page.Locator(".sweep h3")).ToHaveTextAsync("ioi-demo on two.json");
        Assert.Empty(watched.Errors);

        Task TakeAsync(string name, string text) =>
            page.SetInputFilesAsync("#pairs-file", new FilePayload { Name = name, MimeType = "application/json", Buffer = System.Text.Encoding.UTF8.GetBytes(text) });
    }

    [Fact]
    public async Task A_running_sweep_is_followed_by_events_and_without_them_by_asking()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        IPage page = watched.Page;
        string id = await server.Client.StartAsync(LongSweep.Body(pairs: 120, seed: 2));
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator(".sweep .progress-text")).ToContainTextAsync("layers", new() { Timeout = 60_000 });
        Assert.Contains(watched.Requests, request => request.AbsolutePath == $"/api/sweeps/{id}/events");

        await page.RouteAsync("**/events", route => route.FulfillAsync(new() { Status = 404 }));
        await page.ReloadAsync();
        await page.ClickAsync(".sweep .stop");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("cancelled", new() { Timeout = 60_000 });
    }

    [Fact]
    public async Task The_API_is_described_with_every_call_and_every_link_in_it_leads_somewhere()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        IPage page = watched.Page;
        await page.GotoAsync(new Uri(server.Address, "/docs").AbsoluteUri);
        JsonElement paths = (await server.Client.GetAsync("/api/openapi.json")).GetProperty("paths");
        string[] calls = [.. paths.EnumerateObject().SelectMany(path => path.Value.EnumerateObject().Select(call => call.Value.GetProperty("operationId").GetString()!))];
        foreach (string call in calls)
        {
            await Expect(page.Locator($"section#{call} pre")).ToHaveCountAsync(2);
        }

        await Expect(page.Locator("section#submitSweep")).ToContainTextAsync("Idempotency-Key");
        await Expect(page.Locator("section#type-SweepRequest")).ToContainTextAsync("tokenWeights");
        Assert.Empty(await page.EvaluateAsync<string[]>("[...document.querySelectorAll('a[href^=\"#\"]')].map(link => link.hash.slice(1)).filter(id => !document.getElementById(id))"));
        await page.SetViewportSizeAsync(390, 800);
        Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"));
        Assert.Empty(watched.Errors);
    }
}
