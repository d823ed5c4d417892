using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Results;
using HeadPatching.Reports;
using HeadPatching.Testing;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace HeadPatching.Http.Tests.Browser;

/// <summary>The report's script over results of every shape, in a real browser.</summary>
public sealed class ReportInBrowserTests(Chromium chromium)
{
    [Fact]
    public async Task Layers_at_each_position_are_walked_through_by_position_and_pair()
    {
        await using var watched = await chromium.OpenAsync();
        using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var result = await SweepAsync(server, """{"patch": "resid_pre", "positions": "each"}""");
        await OpenAsync(page, result);

        await Expect(page.Locator("#heatmap .cell")).ToHaveCountAsync(3 * 15);
        await Expect(page.Locator("#heatmap-title")).ToHaveTextAsync("Patching effect of each layer at each position");
        await Expect(page.Locator("#position-controls")).ToBeHiddenAsync();
        await Expect(page.Locator("#ranking-title")).ToHaveTextAsync("Ranked layers");
        await Expect(page.Locator(".axis-column")).ToHaveTextAsync("Position");
        // The tokens of the first pair stand over their columns, both where the prompts differ.
        await Expect(page.Locator(".columns .token-label")).ToHaveCountAsync(15);
        await Expect(page.Locator(".columns .token-label").Nth(8)).ToHaveTextAsync("store");
        await Expect(page.Locator(".columns .token-label").Nth(10)).ToHaveTextAsync("John Mary");

        await AssertCellsAsync(page, (layer, position) => result["heatmapByPosition"]![layer]![position]![0]!.GetValue<double>());
        await page.SelectOptionAsync("#pair-choice", "1");
        await AssertCellsAsync(page, (layer, position) => result["pairs"]![1]!["patchingEffectByPosition"]![layer]![position]![0]!.GetValue<double>());
        await Expect(page.Locator(".columns .token-label").Nth(8)).ToHaveTextAsync(result["pairs"]![1]!["cleanTokenTexts"]![8]!.GetValue<string>().Trim());

        // A layer of the ranking leads to its strongest position, and there its numbers are.
        await page.SelectOptionAsync("#pair-choice", "");
        await page.Locator("#ranking .head-link").First.ClickAsync();
        JsonNode strongest = result["heads"]!.AsArray().MaxBy(head => Math.Abs(head!["patchingEffect"]!.GetValue<double>()))!;
        var column = 15 + strongest["position"]!.GetValue<int>();
        await Expect(page.Locator($".cell[data-layer='{strongest["layer"]}'][data-column='{column}']")).ToBeFocusedAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync(strongest["name"]!.GetValue<string>());
        await Expect(page.Locator("#detail")).ToContainTextAsync("95 % interval");
        Assert.Empty(watched.Errors);
    }

    [Theory]
    [InlineData("each")]
    [InlineData("each-role")]
    public async Task Roles_are_walked_through_where_positions_are_not_the_same_place(string positions)
    {
        await using var watched = await chromium.OpenAsync();
        using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var result = await SweepAsync(server, $$"""{"patch": "resid_pre", "positions": "{{positions}}", "dataset": "ioi-generated"}""");
        await OpenAsync(page, result);

        await Expect(page.Locator("#heatmap .cell")).ToHaveCountAsync(3 * 5);
        await Expect(page.Locator("#heatmap-title")).ToHaveTextAsync("Patching effect of each layer at each role");
        await Expect(page.Locator(".axis-column")).ToHaveTextAsync("Role");
        await Expect(page.Locator("#ranking-position")).ToHaveTextAsync("Role");
        await Expect(page.Locator("#ranking tbody tr").First.Locator("td").Last).ToHaveTextAsync("S2");
        await AssertCellsAsync(page, (layer, role) => result["heatmapByRole"]![layer]![role]![0]!.GetValue<double>());
        await page.SelectOptionAsync("#pair-choice", "1");
        var pair = result["pairs"]![1]!;
        await AssertCellsAsync(page, (layer, role) =>
        {
            string name = result["roles"]![role]!["name"]!.GetValue<string>();
            return positions == "each"
                ? pair["patchingEffectByPosition"]![layer]![pair["roles"]![name]!.GetValue<int>()]![0]!.GetValue<double>()
                : pair["patchingEffectByRole"]![name]![layer]![0]!.GetValue<double>();
        });
        await page.SelectOptionAsync("#pair-choice", "");
        await page.Locator("#ranking .head-link").First.ClickAsync();
        await Expect(page.Locator(".cell[data-layer='1'][data-column='3']")).ToBeFocusedAsync();
        await Expect(page.Locator("#detail")).ToContainTextAsync("role S2");
        Assert.Empty(watched.Errors);

        // Heads at each role: the slider goes through the roles.
        var heads = await SweepAsync(server, $$"""{"patch": "v", "positions": "{{positions}}", "dataset": "ioi-generated"}""");
        await OpenAsync(page, heads);
        await page.CheckAsync("#one-position");
        await page.Locator("#position").FillAsync("3");
        await Expect(page.Locator("#position-name")).ToHaveTextAsync("S2");
        await AssertCellsAsync(page, (layer, head) => heads["heatmapByRole"]![layer]![3]![head]!.GetValue<double>());
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Layers_as_a_whole_are_one_column_for_all_pairs_and_for_one()
    {
        await using var watched = await chromium.OpenAsync();
        using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var result = await SweepAsync(server, """{"patch": "mlp_out"}""");
        await OpenAsync(page, result);

        await Expect(page.Locator("#heatmap .cell")).ToHaveCountAsync(3);
        await Expect(page.Locator(".axis-column")).ToHaveTextAsync("");
        await page.SelectOptionAsync("#pair-choice", "2");
        await AssertCellsAsync(page, (layer, column) => result["pairs"]![2]!["patchingEffect"]![layer]![column]!.GetValue<double>());
        await page.Locator("#ranking .head-link").First.ClickAsync();
        await Expect(page.Locator("#detail")).ToContainTextAsync("Patched metric");
        await Expect(page.Locator(".pair .head-link").First).ToHaveTextAsync(new System.Text.RegularExpressions.Regex("^L[0-2]$"));
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Key_value_heads_have_the_names_that_the_result_gives_them()
    {
        await using var watched = await chromium.OpenAsync();
        using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var result = await SweepAsync(server, """{"patch": "k"}""");
        result["model"]!["keyValueHeads"] = 8;
        foreach (var head in result["heads"]!.AsArray().Concat(result["importantHeads"]!.AsArray()))
        {
            head!["name"] = $"L{head["layer"]}KV{head["head"]}";
        }

        await OpenAsync(page, result);

        await Expect(page.Locator(".axis-column")).ToHaveTextAsync("Key/value head");
        await page.Locator(".cell[data-layer='1'][data-column='3']").FocusAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L1KV3");
        await page.SelectOptionAsync("#pair-choice", "0");
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L1KV3");
        await Expect(page.Locator(".cell[data-layer='1'][data-column='3']")).ToHaveAttributeAsync("aria-label", new System.Text.RegularExpressions.Regex("^L1KV3, effect"));
        await Expect(page.Locator("#provenance")).ToContainTextAsync("3 layers of 8 heads, 8 key/value heads");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task An_ablation_and_paths_are_stated()
    {
        await using var watched = await chromium.OpenAsync();
        using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var result = await SweepAsync(server, """{"ablation": "zero"}""");
        await OpenAsync(page, result);
        await Expect(page.Locator("h1")).ToHaveTextAsync("Zero ablation of z, head by head");
        await Expect(page.Locator("#lead")).ToContainTextAsync("clean run, z replaced by zeros");
        await Expect(page.Locator("#provenance")).ToContainTextAsync("noise: clean run, z replaced by zeros");

        result.AsObject().Remove("ablation");
        result["receivers"] = new JsonArray("L2H6.q", "L2H0.q");
        result["freezeMlps"] = true;
        await OpenAsync(page, result);
        await Expect(page.Locator("#lead")).ToContainTextAsync("paths to L2H6.q, L2H0.q, MLPs frozen");
        await Expect(page.Locator("#provenance")).ToContainTextAsync("Paths toL2H6.q, L2H0.q");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task A_screen_holds_its_estimates_against_what_was_run_and_marks_the_others()
    {
        await using var watched = await chromium.OpenAsync();
        using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var result = await SweepAsync(server, "{}");
        result["method"] = "screen";
        result["screenTop"] = 3;
        // Three heads were run: estimates 0.1, 0.2 and 0.6 of the effects 0.2, 0.3 and 0.4.
        var effects = new Dictionary<string, (double Estimate, double Effect)> { ["L2H6"] = (0.6, 0.4), ["L2H0"] = (0.2, 0.3), ["L2H1"] = (0.1, 0.2) };
        foreach (var head in result["heads"]!.AsArray())
        {
            if (effects.TryGetValue(head!["name"]!.GetValue<string>(), out var one))
            {
                (head["estimatedEffect"], head["patchingEffect"]) = (one.Estimate, one.Effect);
            }
            else
            {
                (head["estimatedEffect"], head["estimated"]) = (head["patchingEffect"]!.GetValue<double>(), true);
            }
        }

        await OpenAsync(page, result);

        await Expect(page.Locator("#lead")).ToContainTextAsync("3 heads run after an estimate of all");
        await Expect(page.Locator("#screen-title")).ToBeVisibleAsync();
        // Pearson's correlation of (0.1, 0.2, 0.6) and (0.2, 0.3, 0.4): 0.05 / sqrt(0.14 * 0.02).
        await Expect(page.Locator("#screen-summary")).ToHaveTextAsync("The 3 heads that ran: correlation 0.945, largest deviation 0.200 (L2H6).");
        await Expect(page.Locator("#screen-table tbody tr")).ToHaveTextAsync(["L2H60.60000.40000.2000", "L2H00.20000.3000−0.1000", "L2H10.10000.2000−0.1000"]);
        await Expect(page.Locator("#scatter .point")).ToHaveCountAsync(3);
        Assert.Equal("L2H6: estimated 0.6000, exact 0.4000", await page.Locator("#scatter .point title").First.TextContentAsync());
        await Expect(page.Locator("#scatter")).ToHaveAttributeAsync("role", "img");

        await Expect(page.Locator("#heatmap .cell.estimated")).ToHaveCountAsync((3 * 8) - 3);
        await Expect(page.Locator("#estimated-note")).ToBeVisibleAsync();
        await Expect(page.Locator("#ranking tbody tr .estimated-value").First).ToContainTextAsync("~");
        await page.Locator(".cell[data-layer='0'][data-column='0']").FocusAsync();
        await Expect(page.Locator("#detail")).ToContainTextAsync("Effect (estimated)");
        await page.Locator("#screen-table .head-link").First.ClickAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L2H6");
        await Expect(page.Locator("#detail")).ToContainTextAsync("Estimated effect");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task The_report_of_a_sweep_that_ran_all_shows_nothing_of_estimates()
    {
        await using var watched = await chromium.OpenAsync();
        using var server = await PageServer.StartAsync();
        await OpenAsync(watched.Page, await SweepAsync(server, "{}"));

        await Expect(watched.Page.Locator("#detail h3")).ToBeVisibleAsync();
        await Expect(watched.Page.Locator("#screen")).ToBeHiddenAsync();
        await Expect(watched.Page.Locator("#estimated-note")).ToBeHiddenAsync();
        await Expect(watched.Page.Locator("#heatmap .cell.estimated")).ToHaveCountAsync(0);
    }

    [Theory]
    [InlineData(360)]
    [InlineData(600)]
    [InlineData(880)]
    [InlineData(1280)]
    [InlineData(1920)]
    public async Task All_heads_of_a_wide_model_are_in_view_at_every_width(int width)
    {
        await using var watched = await chromium.OpenAsync();
        await watched.Page.SetViewportSizeAsync(width, 900);
        await OpenAsync(watched.Page, ExampleSweep.Of(layers: 32, heads: 32));

        await AssertAllColumnsInViewAsync(watched.Page);
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Print_keeps_the_colours_and_all_columns()
    {
        await using var watched = await chromium.OpenAsync();
        await watched.Page.SetViewportSizeAsync(718, 1000); // A4 between its margins
        await watched.Page.EmulateMediaAsync(new() { Media = Media.Print });
        await OpenAsync(watched.Page, ExampleSweep.Of(layers: 40, heads: 40));

        await AssertAllColumnsInViewAsync(watched.Page);
        Assert.Equal("exact", await watched.Page.Locator(".cell").First.EvaluateAsync<string>("cell => getComputedStyle(cell).printColorAdjust"));
        Assert.Equal("visible", await watched.Page.Locator(".heatmap-scroll").EvaluateAsync<string>("scroll => getComputedStyle(scroll).overflowX"));
    }

    [Fact]
    public async Task Effects_of_nearly_nothing_have_pale_colours()
    {
        await using var watched = await chromium.OpenAsync();
        await OpenAsync(watched.Page, ExampleSweep.From([[0.001, -0.002], [0.003, 0.004]]));

        await Expect(watched.Page.Locator("#heatmap .cell.strong")).ToHaveCountAsync(0);
        await Expect(watched.Page.Locator("#legend-high")).ToHaveTextAsync("0.10");
        await Expect(watched.Page.Locator(".cell[data-layer='1'][data-column='1']")).ToHaveAttributeAsync("style", "--strength: 4.00%;");
    }

    private static async Task AssertAllColumnsInViewAsync(IPage page)
    {
        // The last cell against the frame that would else scroll, and the page against its window.
        await Expect(page.Locator("#detail h3")).ToHaveCountAsync(1);
        Assert.True(await page.EvaluateAsync<bool>("""
            () => {
              const frame = document.querySelector(".heatmap-scroll").getBoundingClientRect();
              const cells = [...document.querySelectorAll("#heatmap .cell")].map(cell => cell.getBoundingClientRect());
              return cells.every(cell => cell.width > 5 && cell.left >= frame.left && cell.right <= frame.right + 1)
                && document.documentElement.scrollWidth <= window.innerWidth;
            }
            """));
    }

    private static async Task AssertCellsAsync(IPage page, Func<int, int, double> effect)
    {
        foreach (var cell in await page.Locator("#heatmap .cell").AllAsync())
        {
            var layer = int.Parse((await cell.GetAttributeAsync("data-layer"))!, System.Globalization.CultureInfo.InvariantCulture);
            var column = int.Parse((await cell.GetAttributeAsync("data-column"))!, System.Globalization.CultureInfo.InvariantCulture);
            var shown = double.Parse((await cell.GetAttributeAsync("data-effect"))!, System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal(effect(layer, column), shown);
        }
    }

    /// <summary>The result of a sweep of the demo model, to be changed by a test.</summary>
    private static async Task<JsonNode> SweepAsync(PageServer server, string body)
    {
        var id = await server.Client.StartAsync(body);
        return JsonNode.Parse((await server.Client.ResultsAsync(id)).GetRawText())!;
    }

    /// <summary>Opens the report of a result, as a file.</summary>
    private static Task OpenAsync(IPage page, JsonNode result) => OpenAsync(page, result.Deserialize<SweepResult>(ResultJson.Compact)!);

    private static async Task OpenAsync(IPage page, SweepResult result)
    {
        using var folder = new TemporaryFolder();
        var file = folder["report.html"];
        await using (var report = File.Create(file))
        {
            ReportPage.Write(result, report);
        }

        await page.GotoAsync(new Uri(file).AbsoluteUri);
    }
}
