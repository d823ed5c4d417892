using System.Text.Json;
using System.Text.RegularExpressions;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Testing;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace HeadPatching.Pages.Tests;

/// <summary>The page of `headpatch serve` and the report, in a real browser on a real server.</summary>
public sealed class SweepsPageTests(Chromium chromium)
{
    [Fact]
    public async Task A_sweep_is_started_from_the_form_and_watched_to_its_end_and_its_report_shows_the_result()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator("#empty")).ToBeVisibleAsync();
        await Expect(page.Locator("#model option[value=ioi-demo]")).ToHaveCountAsync(1);

        await page.SelectOptionAsync("#model", "ioi-demo");
        await page.SelectOptionAsync("#dataset", "ioi");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("completed");
        await Expect(page.Locator("#empty")).ToBeHiddenAsync();
        await Expect(page.Locator("#announcement")).ToHaveTextAsync("The sweep of ioi-demo on ioi is completed.");
        Assert.All(watched.Requests, request => Assert.Equal(server.Address.Authority, request.Authority));

        // Every link of the sweep leads somewhere.
        foreach (var link in await page.Locator(".sweep .links a").AllAsync())
        {
            var answer = await page.APIRequest.GetAsync(new Uri(server.Address, await link.GetAttributeAsync("href")).AbsoluteUri);
            Assert.True(answer.Ok, $"{answer.Url} answers {answer.Status}.");
        }

        var id = await page.Locator(".sweep").GetAttributeAsync("data-id");
        var result = await server.Client.GetAsync($"/api/sweeps/{id}/results");
        var requestsBefore = watched.Requests.Count;
        await page.ClickAsync(".sweep .report");
        await Expect(page).ToHaveURLAsync(new Regex($"/api/sweeps/{id}/report$"));

        var cells = page.Locator("#heatmap .cell");
        await Expect(cells).ToHaveCountAsync(3 * 8);
        foreach (var cell in await cells.AllAsync())
        {
            var layer = int.Parse((await cell.GetAttributeAsync("data-layer"))!, System.Globalization.CultureInfo.InvariantCulture);
            var head = int.Parse((await cell.GetAttributeAsync("data-column"))!, System.Globalization.CultureInfo.InvariantCulture);
            var effect = double.Parse((await cell.GetAttributeAsync("data-effect"))!, System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal(result.GetProperty("heatmap")[layer][head].GetDouble(), effect);
        }

        await page.Locator(".cell[data-layer='0'][data-column='0']").FocusAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L0H0");
        await page.Keyboard.PressAsync("ArrowRight");
        await page.Keyboard.PressAsync("ArrowDown");
        await Expect(page.Locator(".cell[data-layer='1'][data-column='1']")).ToBeFocusedAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L1H1");

        // The report asked for nothing but itself.
        Assert.Equal([$"/api/sweeps/{id}/report"], watched.Requests.Skip(requestsBefore).Where(request => request.Scheme != "data").Select(request => request.AbsolutePath));
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task A_generated_dataset_asks_for_the_number_of_pairs_and_the_seed()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator("#dataset option")).ToHaveCountAsync(BuiltInDatasets.All.Count + 1); // and one's own pairs
        await Expect(page.Locator("#generated-fields")).ToBeHiddenAsync();

        await page.SelectOptionAsync("#dataset", "ioi-generated");
        await Expect(page.Locator("#generated-fields")).ToBeVisibleAsync();
        await page.FillAsync("#count", "");
        await page.ClickAsync("#start");
        await Expect(page.Locator("#faults-count")).ToContainTextAsync("whole number");

        await page.FillAsync("#count", "4");
        await page.FillAsync("#seed", "3");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("completed");
        var id = await page.Locator(".sweep").GetAttributeAsync("data-id");
        var result = await server.Client.GetAsync($"/api/sweeps/{id}/results");
        Assert.Equal("ioi-generated", result.GetProperty("dataset").GetProperty("name").GetString());
        Assert.Equal(4, result.GetProperty("pairs").GetArrayLength());

        await page.SelectOptionAsync("#dataset", "ioi");
        await Expect(page.Locator("#generated-fields")).ToBeHiddenAsync();
    }

    [Fact]
    public async Task An_ablation_is_started_from_the_advanced_fold_and_is_of_the_clean_run()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator("#seed")).ToBeHiddenAsync();

        await page.ClickAsync("#advanced summary");
        await page.SelectOptionAsync("#ablation", "resample");
        await Expect(page.Locator("#seed")).ToBeVisibleAsync();
        await Expect(page.Locator("#count")).ToBeHiddenAsync();
        await Expect(page.Locator("#direction")).ToHaveValueAsync("noise");
        await Expect(page.Locator("#advanced-summary")).ToHaveTextAsync("resample ablation");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("completed");

        var id = await page.Locator(".sweep").GetAttributeAsync("data-id");
        var result = await server.Client.GetAsync($"/api/sweeps/{id}/results");
        Assert.Equal("resample", result.GetProperty("ablation").GetString());
        Assert.Equal("noise", result.GetProperty("direction").GetString());

        await page.SelectOptionAsync("#ablation", "");
        await Expect(page.Locator("#direction")).ToHaveValueAsync("denoise");
    }

    [Fact]
    public async Task A_metric_of_ones_own_is_weights_of_tokens_in_the_advanced_fold()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator("#options-summary")).ToHaveTextAsync("z · all at once · denoise · logit-difference · float32");

        await page.ClickAsync("summary:has-text('Advanced')");
        await page.FillAsync("#tokenWeights", "\" Mary\"");
        await page.ClickAsync("#start");
        await Expect(page.Locator("#faults-tokenWeights")).ToContainTextAsync("Say tokens and their weights");

        await page.FillAsync("#tokenWeights", "\" Mary\": 1, \" John\": -1");
        await Expect(page.Locator("#options-summary")).ToContainTextAsync("token-weights");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("completed");
        string id = (await page.Locator(".sweep").GetAttributeAsync("data-id"))!;
        Assert.Equal("token-weights", (await server.Client.GetAsync($"/api/sweeps/{id}/results")).GetProperty("metric").GetString());
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Layers_as_a_whole_are_swept_from_the_form_and_the_list_says_so()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);

        await page.ClickAsync("#options summary");
        foreach (var patch in new[] { "attn_out", "mlp_out", "resid_mid", "resid_post", "resid_pre" })
        {
            await page.SelectOptionAsync("#patch", patch);
        }

        await page.SelectOptionAsync("#positions", "each");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("completed");
        await Expect(page.Locator(".sweep .facts")).ToContainTextAsync("Activation patching of resid_pre, layer by layer");
    }

    [Fact]
    public async Task The_form_sends_of_the_advanced_fields_what_was_filled_in_and_nothing_else()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var bodies = new List<JsonElement>();
        await page.RouteAsync("**/api/sweeps", async route =>
        {
            if (route.Request.Method != "POST")
            {
                await route.ContinueAsync();
                return;
            }

            bodies.Add(JsonDocument.Parse(route.Request.PostData!).RootElement.Clone());
            await route.FulfillAsync(new()
            {
                Status = 400,
                ContentType = "application/problem+json",
                Body = """{"title": "Refused.", "errors": [{"path": "receivers[1]", "message": "The model has no such head."}]}""",
            });
        });
        await page.GotoAsync(server.Address.AbsoluteUri);

        await StartAsync();
        Assert.Empty(bodies[0].EnumerateObject().Select(property => property.Name).Intersect(["ablation", "method", "gradient", "screenTop", "receivers", "freezeMlps", "seed", "count"]));

        // The fault above opened the fold and stands beside its field.
        await Expect(page.Locator("#advanced")).ToHaveAttributeAsync("open", "");
        await Expect(page.Locator("#faults-receivers li")).ToContainTextAsync("receivers[1]");
        await Expect(page.Locator("#receivers")).ToBeFocusedAsync();

        await page.FillAsync("#receivers", " L2H6.q, L2H0.q ,");
        await page.Locator("#receivers").BlurAsync();
        await page.CheckAsync("#freezeMlps");
        await StartAsync();
        Assert.Equal(["L2H6.q", "L2H0.q"], bodies[1].GetProperty("receivers").EnumerateArray().Select(receiver => receiver.GetString()));
        Assert.True(bodies[1].GetProperty("freezeMlps").GetBoolean());

        await page.FillAsync("#receivers", "");
        await page.Locator("#receivers").BlurAsync();
        await Expect(page.Locator("#freezeMlps")).ToBeHiddenAsync();
        await page.SelectOptionAsync("#method", "screen");
        await page.FillAsync("#screenTop", "5");
        await StartAsync();
        Assert.Equal("screen", bodies[2].GetProperty("method").GetString());
        Assert.Equal(5, bodies[2].GetProperty("screenTop").GetInt32());
        Assert.Equal("frozen-norms", bodies[2].GetProperty("gradient").GetString());
        Assert.False(bodies[2].TryGetProperty("receivers", out _));
        Assert.False(bodies[2].TryGetProperty("freezeMlps", out _));

        await page.SelectOptionAsync("#method", "attribution");
        await page.SelectOptionAsync("#gradient", "plain");
        await StartAsync();
        Assert.Equal("attribution", bodies[3].GetProperty("method").GetString());
        Assert.Equal("plain", bodies[3].GetProperty("gradient").GetString());
        Assert.False(bodies[3].TryGetProperty("screenTop", out _));

        async Task StartAsync()
        {
            var before = bodies.Count;
            await page.ClickAsync("#start");
            await Expect(page.Locator("#faults-receivers li")).ToHaveCountAsync(1);
            Assert.Equal(before + 1, bodies.Count);
        }
    }

    [Fact]
    public async Task A_sweep_is_started_and_its_report_opened_with_the_keyboard_alone()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator("#first-sweep")).ToBeVisibleAsync();

        await TabToAsync(page, "start");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator(".sweep .report")).ToBeVisibleAsync();
        await Expect(page.Locator("#start")).ToBeFocusedAsync();

        while (!await page.EvaluateAsync<bool>("document.activeElement.classList.contains('report')")) // past search, choice and Delete
        {
            await page.Keyboard.PressAsync("Tab");
        }

        await page.Keyboard.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(new Regex("/report$"));
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task A_line_that_is_not_JSON_is_refused_beside_the_form_with_its_line_and_path()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);

        await page.SelectOptionAsync("#dataset", "");
        await page.ClickAsync("#example-pair");
        await page.Locator("#pairs").PressSequentiallyAsync("\n{\"clean\": oops}");
        await page.ClickAsync("#start");

        await Expect(page.Locator("#faults-pairs li")).ToContainTextAsync("line 3, pairs[1]");
        await Expect(page.Locator("#faults-pairs li")).ToContainTextAsync("not one JSON object");
        await Expect(page.Locator("#refusal")).ToContainTextAsync("not started");
        await Expect(page.Locator("#pairs")).ToBeFocusedAsync();
        await Expect(page.Locator("#pairs")).ToHaveAttributeAsync("aria-invalid", "true");
        Assert.Equal(0, (await server.Client.GetAsync("/api/sweeps")).GetProperty("sweeps").GetArrayLength());
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task What_the_server_finds_wrong_stands_beside_the_field_that_has_it()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);

        await page.SelectOptionAsync("#dataset", "");
        await page.FillAsync("#pairs", """

            {"clean": "a", "corrupted": "b", "correct": " c", "typo": " d"}
            """);
        await page.ClickAsync("#start");

        await Expect(page.Locator("#faults-pairs li")).ToHaveCountAsync(2);
        await Expect(page.Locator("#faults-pairs")).ToContainTextAsync("line 2, pairs[0].typo");
        await Expect(page.Locator("#faults-pairs")).ToContainTextAsync("line 2, pairs[0].incorrect");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(0);

        // Mended, it runs, and the faults are gone.
        await page.FillAsync("#pairs", "");
        await page.ClickAsync("#example-pair");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("completed");
        await Expect(page.Locator("#faults-pairs li")).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task What_only_tokenising_finds_is_shown_in_the_failed_sweep()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);

        await page.SelectOptionAsync("#dataset", "");
        await page.FillAsync("#pairs", """
            {"clean": "When Mary and John went to the store, John gave a drink to", "corrupted": "When Mary and John went", "correct": " Mary", "incorrect": " John"}
            """);
        await page.ClickAsync("#start");

        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("failed");
        await Expect(page.Locator(".sweep .failure .where")).ToHaveTextAsync("pairs[0]");
        await Expect(page.Locator(".sweep .failure")).ToContainTextAsync("tokens");
        await Expect(page.Locator(".sweep .links")).ToBeHiddenAsync();
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task A_running_sweep_shows_its_progress_and_is_cancelled_and_then_deleted()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await page.SelectOptionAsync("#model", LongSweep.Model);
        await page.SelectOptionAsync("#dataset", "");
        await page.FillAsync("#pairs", PageServer.LongPairs);
        await page.ClickAsync("#start");

        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("running");
        await Expect(page.Locator(".progress-text")).ToContainTextAsync($"of {LongSweep.Layers} layers");
        await Expect(page.Locator(".sweep progress")).ToBeVisibleAsync();
        await page.ClickAsync(".sweep .stop");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("cancelled");
        await Expect(page.Locator(".sweep progress")).ToBeHiddenAsync();

        // Escape and "keep" keep it.
        await page.ClickAsync(".sweep .stop");
        await Expect(page.Locator("#confirm-delete")).ToBeVisibleAsync();
        await page.Keyboard.PressAsync("Escape");
        await Expect(page.Locator("#confirm-delete")).ToBeHiddenAsync();
        await page.ClickAsync(".sweep .stop");
        await page.ClickAsync("#confirm-no");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(1);

        await page.ClickAsync(".sweep .stop");
        await page.ClickAsync("#confirm-yes");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(0);
        await Expect(page.Locator("#empty")).ToBeVisibleAsync();
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Names_out_of_a_request_are_shown_as_the_text_they_are()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        const string Name = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>";
        var pair = new { clean = Name, corrupted = $"{Name} {Name}", correct = Name, incorrect = Name };
        using var answer = await server.Client.PostAsync(JsonSerializer.Serialize(new { name = Name, pairs = new[] { pair } }));
        answer.EnsureSuccessStatusCode();

        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("failed");
        await Expect(page.Locator(".sweep h3 bdi").Nth(1)).ToHaveTextAsync(Name);
        await Expect(page.Locator("#sweeps img, #sweeps script")).ToHaveCountAsync(0);
        Assert.NotEqual("run", await page.TitleAsync());
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task A_server_that_is_gone_is_said_to_be_gone()
    {
        await using var watched = await chromium.OpenAsync();
        using var folder = new TemporaryFolder();
        using var server = await Server.StartAsync(folder.Path, "--store", folder["store"]);
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator("#empty")).ToBeVisibleAsync();
        await Expect(page.Locator("#server-gone")).ToBeHiddenAsync();

        server.Process.Kill();
        await page.ClickAsync("#start");
        await Expect(page.Locator("#refusal")).ToContainTextAsync("does not answer");
        await Expect(page.Locator("#server-gone")).ToContainTextAsync("does not answer");
    }

    [Theory]
    [InlineData(ColorScheme.Light, 1280)]
    [InlineData(ColorScheme.Dark, 1280)]
    [InlineData(ColorScheme.Light, 390)]
    [InlineData(ColorScheme.Dark, 390)]
    public async Task Both_pages_render_light_and_dark_and_on_a_phone(ColorScheme scheme, int width)
    {
        await using var watched = await chromium.OpenAsync(scheme, width);
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator("#first-sweep")).ToBeVisibleAsync();
        await page.ClickAsync("#first-sweep");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("completed");
        await AssertRenderedAsync();

        await page.ClickAsync(".sweep .report");
        await Expect(page.Locator("#detail h3")).ToBeVisibleAsync();
        await AssertRenderedAsync();
        Assert.Empty(watched.Errors);

        async Task AssertRenderedAsync()
        {
            // Nothing is wider than the window, and the page is as light or dark as the user wants it.
            Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), "The page scrolls sideways.");
            var red = await page.EvaluateAsync<int>("parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])");
            Assert.Equal(scheme == ColorScheme.Dark, red < 128);
        }
    }

    [Fact]
    public async Task Every_phase_and_state_has_words_of_its_own_and_long_lists_come_a_page_at_a_time()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var asked = new List<string>();
        await page.RouteAsync(new Regex("/api/sweeps\\?"), async route =>
        {
            asked.Add(new Uri(route.Request.Url).Query);
            int limit = int.Parse(asked[^1]["?limit=".Length..], System.Globalization.CultureInfo.InvariantCulture);
            var sweeps = Enumerable.Range(0, Math.Min(limit, 120)).Select(Sweep);
            await route.FulfillAsync(new()
            {
                ContentType = "application/json",
                Body = JsonSerializer.Serialize(new { sweeps, total = 120, underWay = 1, next = limit < 120 ? "/api/sweeps?limit=1&after=x" : null }),
            });
        });
        await page.RouteAsync("**/events", route => route.FulfillAsync(new() { Status = 204 })); // there are no such sweeps
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(50);
        await Expect(page.Locator("#counts")).ToHaveTextAsync("1 of 120 sweeps under way");

        var estimating = page.Locator(".sweep").First;
        await Expect(estimating.Locator(".progress-text")).ToHaveTextAsync("Estimates from a gradient · 2 of 4 chunks of pairs");
        await Expect(estimating.Locator("progress")).ToHaveAttributeAsync("value", new Regex("^0\\.3"));
        var damaged = page.Locator(".sweep").Nth(1);
        await Expect(damaged.Locator(".state")).ToHaveTextAsync("damaged");
        await Expect(damaged.Locator(".failure")).ToContainTextAsync("status.json cannot be read");
        await Expect(damaged.Locator(".stop")).ToHaveTextAsync("Delete");

        await page.ClickAsync("#more");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(100);
        await page.ClickAsync("#more");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(120);
        await Expect(page.Locator("#more")).ToBeHiddenAsync();
        Assert.Empty(watched.Errors);

        static object Sweep(int index) => new
        {
            id = $"n{index:x24}",
            status = index switch { 0 => "running", 1 => "damaged", _ => "completed" },
            model = "ioi-demo",
            dataset = "ioi",
            patch = "z",
            createdAt = DateTimeOffset.UnixEpoch.AddDays(20_000).AddSeconds(-index),
            finishedAt = index == 0 ? (DateTimeOffset?)null : DateTimeOffset.UnixEpoch.AddDays(20_001),
            progress = new { phase = "estimating", layersDone = 0, layersTotal = 3, chunksCached = 4, chunksTotal = 4, chunksEstimated = 2, tasksDone = 0, tasksTotal = 12, tasksReused = 0 },
            error = index == 1 ? new { message = "The artifact sweeps/x/status.json cannot be read: it is empty.", faultCount = 0, faults = Array.Empty<object>() } : null,
        };
    }

    private static async Task TabToAsync(IPage page, string id)
    {
        for (var presses = 0; presses < 30; presses++)
        {
            await page.Keyboard.PressAsync("Tab");
            if (await page.EvaluateAsync<string>("document.activeElement.id") == id)
                return;
        }

        Assert.Fail($"#{id} cannot be reached with the Tab key.");
    }
}
