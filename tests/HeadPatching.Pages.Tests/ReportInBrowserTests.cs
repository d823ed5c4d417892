using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Reports;
using HeadPatching.Testing;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace HeadPatching.Pages.Tests;

/// <summary>The report's script over results of every shape, in a real browser.</summary>
public sealed class ReportInBrowserTests(Chromium chromium)
{
    [Fact]
    public async Task Layers_at_each_position_are_walked_through_by_position_and_pair()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
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
        await using var server = await PageServer.StartAsync();
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
        await using var server = await PageServer.StartAsync();
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
        await using var server = await PageServer.StartAsync();
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
        await using var server = await PageServer.StartAsync();
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
        await using var server = await PageServer.StartAsync();
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
    public async Task Sets_of_nodes_and_the_circuits_verdict_are_there_and_only_where_the_sweep_has_them()
    {
        await using var watched = await chromium.OpenAsync();
        var page = watched.Page;
        SweepResult plain = ExampleProof.Sweep(3, 4);
        await OpenAsync(page, plain);
        await Expect(page.Locator("#sets")).ToBeHiddenAsync();
        await Expect(page.Locator("#circuit")).ToBeHiddenAsync();

        ProofSheet sheet = ExampleProof.Of(plain);
        await OpenAsync(page, plain with
        {
            Circuit = sheet,
            PatchSets = [new PatchedSet("L2H1,M0@-1", 0.75, 0.1, new ConfidenceInterval(0.5, 1), 2.5), new PatchedSet("", 0, null, null, -1)],
        });
        await Expect(page.Locator("#sets-table tbody tr")).ToHaveTextAsync(["L2H1,M0@-10.75000.5000 to 1.00002.5000", "(none)0.0000–−1.0000"]);
        await Expect(page.Locator("#circuit-verdict li")).ToHaveTextAsync([.. sheet.Verdict]);
        await Expect(page.Locator("#senders")).ToBeHiddenAsync();
        await Expect(page.Locator("#edges")).ToBeHiddenAsync();

        await OpenAsync(page, plain with
        {
            Receivers = [Receiver.Logits],
            Senders = [new PatchedSet("embed", 0.25, 0.1, new ConfidenceInterval(0.2, 0.3), 1.5)],
            Edges = new EdgeEffects
            {
                Found = new EdgeWork(EdgeMethod.Adaptive, 5, Ungrouped: false) { Threshold = 0.1, Confidence = 0.95 },
                Edges = [new Edge(Node.Embedding, Receiver.Logits), new Edge(Node.OfMlp(0), Receiver.Logits)],
                PatchingEffect = [0.05, -0.5],
                Low = [0.01, null],
                High = [0.08, null],
                Pairs = [14, 1],
                EstimatedEffect = [0.25, -0.75],
                Decision = [Decision.Below, Decision.Above],
            },
        });
        await Expect(page.Locator("#senders-table tbody tr")).ToHaveTextAsync(["embed0.25000.2000 to 0.30001.5000"]);
        await Expect(page.Locator("#edges-table th")).ToHaveTextAsync(["Edge", "Effect", "95\u00a0% interval", "Estimate", "Patched on", "Decision"]);
        await Expect(page.Locator("#edges-table tbody tr")).ToHaveTextAsync(["M0->logits−0.5000–−0.75001 pairabove", "embed->logits0.05000.0100 to 0.08000.250014 pairsbelow"]);
        await Expect(page.Locator("#edges-note")).ToContainTextAsync("each patched until it is decided: 1 above 0.1, 1 not, 0 undecided");
        await Expect(page.Locator("#senders-grid")).ToBeHiddenAsync();

        // At each place: a grid, and the strongest as a table.
        string[] places = ["-2", "-1"];
        await OpenAsync(page, plain with
        {
            Receivers = [Receiver.Logits],
            Senders = [.. from node in (string[])["embed", "M0", "M1"] from place in places select new PatchedSet($"{node}@{place}", node == "M0" && place == "-1" ? -0.5 : 0.25, 0.1, new ConfidenceInterval(0.2, 0.3), 1.5)],
        });
        await Expect(page.Locator("#senders-grid .row-name")).ToHaveTextAsync(["embed", "M0", "M1"]);
        await Expect(page.Locator("#senders-grid .column-name")).ToHaveTextAsync(places);
        await Expect(page.Locator("#senders-grid .cell.negative")).ToHaveAttributeAsync("title", "M0@-1: −0.500, 95 % 0.200 to 0.300");
        await Expect(page.Locator("#senders-grid .cell")).ToHaveCountAsync(6);
        await Expect(page.Locator("#senders-table tbody tr").First).ToContainTextAsync("M0@-1");
        await Expect(page.Locator("#senders-note")).ToContainTextAsync("at each position, counted from the end, in the heads' colours. The table has the strongest.");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task The_report_of_a_sweep_that_ran_all_shows_nothing_of_estimates()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
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

    [Fact]
    public async Task Clicking_a_head_shows_where_it_looks_in_both_runs_and_says_it()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        string id = await server.Client.StartAsync("{}");
        JsonNode result = JsonNode.Parse((await server.Client.ResultsAsync(id)).GetRawText())!;
        await page.GotoAsync(new Uri(server.Address, $"/api/sweeps/{id}/report").AbsoluteUri);

        // The strongest head is shown at first; then the one that is clicked.
        await Expect(page.Locator("#pattern-words")).ToContainTextAsync("Pair 0, L2H6: from ' to' it looks at ' John' at position 10 (0.");
        await Expect(page.Locator("#pattern-words")).ToContainTextAsync("in the clean run and at ' Mary' at position 10 (0.");
        await page.Locator(".cell[data-layer='2'][data-column='0']").First.ClickAsync();
        await Expect(page.Locator("#pattern-words")).ToContainTextAsync("Pair 0, L2H0: from");
        await Expect(page.Locator("#pattern-grids .pattern")).ToHaveCountAsync(3);
        await Expect(page.Locator("#pattern-grids figcaption")).ToHaveTextAsync(["Clean", "Corrupted", "Clean − corrupted"]);
        await Expect(page.Locator("#pattern-grids .pattern").First.Locator(".cell:not(.blank)")).ToHaveCountAsync(15 * 16 / 2);

        // Its cells are the pattern that the server gives, which the link leads to.
        JsonElement pattern = await server.Client.GetAsync($"/api/sweeps/{id}/patterns?head=L2H0&pair=0");
        double[] last = pattern.GetProperty("clean")[14].Deserialize<double[]>()!;
        int strongest = Array.IndexOf(last, last.Max());
        await Expect(page.Locator("#pattern-grids .pattern").First.Locator(".cell").Nth((14 * 15) + strongest))
            .ToHaveAttributeAsync("title", new System.Text.RegularExpressions.Regex($"from 14 'to' to {strongest} '.*': {last.Max():0.000}$"));
        string link = (await page.Locator("#pattern-links a").First.GetAttributeAsync("href"))!;
        Assert.Equal("L2H0", (await server.Client.GetAsync($"/api/sweeps/{id}/{link}")).GetProperty("head").GetString());

        // A head whose patterns are not in the page says so, and leads to them.
        string weakest = result["heads"]!.AsArray().MinBy(head => Math.Abs(head!["patchingEffect"]!.GetValue<double>()))!["name"]!.GetValue<string>();
        await page.Locator($".cell[data-layer='{weakest[1]}'][data-column='{weakest[3]}']").ClickAsync();
        await Expect(page.Locator("#pattern-words")).ToHaveTextAsync($"The patterns of {weakest} are not in this page, which has those of the strongest heads.");
        await Expect(page.Locator("#pattern-links a")).ToHaveAttributeAsync("href", $"patterns?head={weakest}&pair=0");
        await page.SelectOptionAsync("#pair-choice", "3");
        await page.Locator("#pattern-choice .head-link").First.ClickAsync();
        await Expect(page.Locator("#pattern-words")).ToContainTextAsync("Pair 3, L2H6: from ' to' it looks at ' Michael' at position 10");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task The_address_of_a_view_opens_it()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        string id = await server.Client.StartAsync("""{"positions": "each"}""");
        JsonNode result = JsonNode.Parse((await server.Client.ResultsAsync(id)).GetRawText())!;
        await page.GotoAsync(new Uri(server.Address, $"/api/sweeps/{id}/report").AbsoluteUri);

        // Nothing is in the address until something is chosen.
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L2H6");
        Assert.DoesNotContain("#", page.Url, StringComparison.Ordinal);
        await page.SelectOptionAsync("#pair-choice", "2");
        await page.CheckAsync("#one-position");
        await page.Locator("#position").FillAsync("14");
        await page.Locator(".cell[data-layer='1'][data-column='3']").ClickAsync();
        await page.Locator("#ranking [data-sort='direct']").ClickAsync();
        Assert.EndsWith("#head=L1H3&pair=2&position=14&sort=direct", page.Url, StringComparison.Ordinal);

        await page.ReloadAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L1H3");
        await Expect(page.Locator("#pair-choice")).ToHaveValueAsync("2");
        await Expect(page.Locator("#position-name")).ToContainTextAsync("14: to");
        await AssertCellsAsync(page, (layer, head) => result["pairs"]![2]!["patchingEffectByPosition"]![layer]![14]![head]!.GetValue<double>());
        string first = result["heads"]!.AsArray().MaxBy(head => Math.Abs(head!["directLogitAttribution"]!.GetValue<double>()))!["name"]!.GetValue<string>();
        await Expect(page.Locator("#ranking tbody .head-link").First).ToHaveTextAsync(first);
        await Expect(page.Locator("#ranking th[aria-sort='descending']")).ToHaveTextAsync("Direct");

        // What no longer can be, or was mistyped, is left out.
        await page.EvaluateAsync("location.hash = '#head=L9H9&pair=77&position=99&sort=upwards'");
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L2H6");
        await Expect(page.Locator("#pair-choice")).ToHaveValueAsync("");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Layers_at_positions_have_both_in_the_address()
    {
        await using var watched = await chromium.OpenAsync();
        using var folder = new TemporaryFolder();
        await using (var report = File.Create(folder["report.html"]))
        {
            ReportPage.Write(ExampleSweep.OfLayers(6, eachPosition: true), report);
        }

        await watched.Page.GotoAsync(new Uri(folder["report.html"]).AbsoluteUri);
        await watched.Page.Locator(".cell[data-layer='4'][data-column='10']").ClickAsync();
        Assert.EndsWith("#head=L4&position=10", watched.Page.Url, StringComparison.Ordinal);
        await watched.Page.ReloadAsync();
        await Expect(watched.Page.Locator(".cell.current")).ToHaveAttributeAsync("data-column", "10");
        await Expect(watched.Page.Locator("#detail h3")).ToHaveTextAsync("L4");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Where_nothing_can_be_is_blank_and_no_zero()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;

        // By position: before the first difference, and in the last layer anywhere but at the end, which alone is looked at there.
        await OpenAsync(page, await SweepAsync(server, """{"patch": "attn_out", "positions": "each"}"""));
        await Expect(page.Locator("#heatmap .cell.blank")).ToHaveCountAsync((3 * 10) + 4);
        await Expect(page.Locator(".cell[data-layer='0'][data-column='9']")).ToHaveAttributeAsync("aria-label", new System.Text.RegularExpressions.Regex("no effect possible$"));
        await Expect(page.Locator(".cell[data-layer='0'][data-column='9']")).ToHaveTextAsync("");
        await Expect(page.Locator(".cell[data-layer='2'][data-column='13']")).ToHaveClassAsync("cell blank");
        await Expect(page.Locator("#blank-note")).ToBeVisibleAsync();

        // Paths: heads of the receiver's layer and later ones do not lead there.
        await OpenAsync(page, await SweepAsync(server, """{"receivers": ["L1H0.q"]}"""));
        await Expect(page.Locator("#heatmap .cell.blank")).ToHaveCountAsync(16);

        // An ablation changes positions before the difference too.
        await OpenAsync(page, await SweepAsync(server, """{"ablation": "zero", "positions": "each"}"""));
        await Expect(page.Locator("#by-position-grid .cell.blank")).ToHaveCountAsync(8 * 14);
        await OpenAsync(page, await SweepAsync(server, "{}"));
        await Expect(page.Locator("#heatmap .cell.blank")).ToHaveCountAsync(0);
        await Expect(page.Locator("#blank-note")).ToBeHiddenAsync();
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Heads_are_shown_by_position_and_tokens_coloured_by_the_effect_there()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var result = await SweepAsync(server, """{"patch": "v", "positions": "each"}""");
        await OpenAsync(page, result);

        await Expect(page.Locator("#by-position-title")).ToHaveTextAsync("Heads by position");
        await Expect(page.Locator("#by-position-grid .row-name")).ToHaveCountAsync(24);
        await Expect(page.Locator("#by-position-grid .row-name").First).ToHaveTextAsync("L2H6");
        await Expect(page.Locator("#by-position-grid .token-label").Nth(10)).ToHaveTextAsync("John Mary");
        double effect = result["heatmapByPosition"]![2]![10]![6]!.GetValue<double>();
        await Expect(page.Locator("#by-position-grid .cell").Nth(10)).ToHaveAttributeAsync("title", $"L2H6, position 10: John / Mary (pair 0): {effect:0.000}");
        await Expect(page.Locator("#by-position-grid .cell").Nth(9)).ToHaveClassAsync("cell blank");

        // The prompt has the same effect on both of its tokens there, and follows head and pair.
        await Expect(page.Locator("#prompt-hint")).ToContainTextAsync("the effect of patching L2H6 there, over 5 pairs");
        await Expect(page.Locator("#prompt-tokens .aligned")).ToHaveCountAsync(15);
        await Expect(page.Locator("#prompt-tokens .aligned").Nth(10)).ToHaveAttributeAsync("title", new System.Text.RegularExpressions.Regex($"effect {effect:0.000}$"));
        await Expect(page.Locator("#prompt-tokens .aligned").Nth(10).Locator(".token.positive")).ToHaveTextAsync([" John", " Mary"]);
        await Expect(page.Locator("#prompt-tokens .aligned").Nth(3)).ToHaveAttributeAsync("title", "position 3, no effect possible");
        await page.SelectOptionAsync("#pair-choice", "1");
        await page.Locator(".cell[data-layer='2'][data-column='0']").First.ClickAsync();
        double ofPair = result["pairs"]![1]!["patchingEffectByPosition"]![2]![10]![0]!.GetValue<double>();
        await Expect(page.Locator("#prompt-hint")).ToContainTextAsync("the effect of patching L2H0 there, on pair 1");
        await Expect(page.Locator("#prompt-tokens .aligned").Nth(10)).ToHaveAttributeAsync("title", new System.Text.RegularExpressions.Regex($"effect {ofPair:0.000}$".Replace("-", "−")));

        // Where all positions were patched at once, tokens are marked where the prompts differ.
        await OpenAsync(page, await SweepAsync(server, "{}"));
        await Expect(page.Locator("#by-position")).ToBeHiddenAsync();
        await Expect(page.Locator("#prompt-tokens .token.clean")).ToHaveTextAsync(" John");
        await Expect(page.Locator("#prompt-tokens .token.corrupted")).ToHaveTextAsync(" Mary");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task What_may_be_0_with_all_heads_taken_together_is_grey_in_heatmap_and_ranking()
    {
        await using var watched = await chromium.OpenAsync();
        var page = watched.Page;
        (double Effect, double Half, double Often)[] heads = [(0.4, 0.15, 0.25), (-0.8, 0.9, 0.75), (0.2, 0.15, 0), (0.05, 0.01, 0)];
        SweepResult example = ExampleSweep.From([[.. heads.Select(head => head.Effect)]]);
        HeadResult Together(HeadResult head) => head with
        {
            JointInterval = new ConfidenceInterval(head.PatchingEffect - heads[head.Head!.Value].Half, head.PatchingEffect + heads[head.Head.Value].Half),
            ExcludesZero = Math.Abs(head.PatchingEffect) > heads[head.Head.Value].Half,
            ExcludesThreshold = head.Head is 0 or 3,
            InTop = [heads[head.Head.Value].Often],
        };
        await OpenAsync(page, example with
        {
            Heads = [.. example.Heads.Select(Together)],
            ImportantHeads = [.. example.ImportantHeads.Select(Together)],
            JointIntervals = new JointIntervals("95 % for all heads together", 0.0125, 4, 2000, [1]),
        });

        await Expect(page.Locator("#heatmap .cell.unsure")).ToHaveCountAsync(1);
        await Expect(page.Locator("#heatmap .cell.unsure")).ToHaveAttributeAsync("aria-label", "L0H1, effect −0.800, may be 0");
        await Expect(page.Locator("#unsure-note")).ToBeVisibleAsync();
        Assert.Equal(await ColourAsync("#legend-low"), await ColourAsync("#heatmap .cell.unsure", "--negative"));
        await Expect(page.Locator("#ranking tbody tr.unsure .head-link")).ToHaveTextAsync(["L0H1"]);
        await Expect(page.Locator("#ranking tbody tr")).ToContainTextAsync(["–", "> 0.1", "≠ 0", "≠ 0"]);
        await Expect(page.Locator("#important")).ToContainTextAsync("All 4 heads taken together, 2 of them are surely not 0, 1 surely beyond ±0.1.");
        await Expect(page.Locator("#ranking tbody tr").First).ToContainTextAsync("75 %");
        await Expect(page.Locator("#detail")).ToContainTextAsync("All heads at once");

        // By what is sure: the largest, which may be 0, comes last.
        await page.Locator("#ranking [data-sort='sure']").ClickAsync();
        await Expect(page.Locator("#ranking tbody .head-link")).ToHaveTextAsync(["L0H0", "L0H2", "L0H3", "L0H1"]);
        Assert.EndsWith("#sort=sure", page.Url, StringComparison.Ordinal);

        // A single pair's effects have no interval.
        await page.SelectOptionAsync("#pair-choice", "1");
        await Expect(page.Locator("#heatmap .cell.unsure")).ToHaveCountAsync(0);
        Assert.Empty(watched.Errors);

        // Results of versions before it, and over few pairs, have none.
        await OpenAsync(page, example);
        await Expect(page.Locator("#ranking-sure")).ToBeHiddenAsync();
        await Expect(page.Locator("#ranking-top")).ToBeHiddenAsync();
        await Expect(page.Locator(".unsure:visible")).ToHaveCountAsync(0);
        Assert.Empty(watched.Errors);

        Task<string> ColourAsync(string selector, string? property = null) =>
            page.Locator(selector).First.EvaluateAsync<string>(property is null ? "e => getComputedStyle(e).getPropertyValue('--muted')" : $"e => getComputedStyle(e).getPropertyValue('{property}')");
    }

    [Fact]
    public async Task One_scale_is_for_all_pairs_and_positions()
    {
        await using var watched = await chromium.OpenAsync();
        await OpenAsync(watched.Page, ExampleSweep.Of(12, 12, pairs: 5));
        string high = (await watched.Page.Locator("#legend-high").TextContentAsync())!;
        var weak = watched.Page.Locator(".cell[data-layer='0'][data-column='0']");
        double before = await StrengthAsync(weak);

        // Pair 4's effects are 1.4 times the mean's: so are its colours, and what is beyond the scale says so.
        await watched.Page.SelectOptionAsync("#pair-choice", "4");
        await Expect(watched.Page.Locator("#legend-high")).ToHaveTextAsync($"≥ {high}");
        Assert.Equal(1.4 * before, await StrengthAsync(weak), 0.02);
        Assert.Empty(watched.Errors);

        static async Task<double> StrengthAsync(ILocator cell) => await cell.EvaluateAsync<double>("cell => parseFloat(cell.style.getPropertyValue('--strength'))");
    }

    [Fact]
    public async Task What_heads_add_directly_stands_beside_their_effects_as_another_thing()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        var result = await SweepAsync(server, "{}");
        await OpenAsync(page, result);

        await Expect(page.Locator("#direct-hint")).ToContainTextAsync("Not a patching effect");
        await Expect(page.Locator("#direct-grid .cell")).ToHaveCountAsync(3 * (8 + 1));
        double direct = result["directLogitAttribution"]!["heads"]![2]![6]!.GetValue<double>(), total = result["directLogitAttribution"]!["total"]!.GetValue<double>();
        await Expect(page.Locator("#direct-grid .cell").Nth((2 * 9) + 6)).ToHaveAttributeAsync("title", $"L2H6: {direct:0.000}");
        await Expect(page.Locator("#direct-sum .main-value")).ToHaveTextAsync($"{total:0.000}");
        Assert.Equal(result["cleanMetric"]!.GetValue<double>(), total, 1e-3);
        await Expect(page.Locator("#ranking tbody tr").First.Locator(".direct")).ToHaveTextAsync($"{direct:0.000}");
        await page.Locator("#direct-grid .cell").Nth(9 + 2).ClickAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L1H2");

        // Where the metric has none, the reason is there and the column is not.
        await OpenAsync(page, await SweepAsync(server, """{"metric": "probability"}"""));
        await Expect(page.Locator("#direct-hint")).ToContainTextAsync("it is not a weighted sum of logits");
        await Expect(page.Locator("#ranking-direct")).ToBeHiddenAsync();
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task A_result_of_an_earlier_version_opens_without_what_it_does_not_have()
    {
        await using var watched = await chromium.OpenAsync();
        await OpenAsync(watched.Page, ExampleSweep.Of(3, 8));
        await Expect(watched.Page.Locator("#detail h3")).ToBeVisibleAsync();
        await Expect(watched.Page.Locator("#direct")).ToBeHiddenAsync();
        await Expect(watched.Page.Locator("#patterns")).ToBeHiddenAsync();
        await Expect(watched.Page.Locator("#ranking-direct")).ToBeHiddenAsync();
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task Links_lead_to_the_files_where_the_page_is_served_or_lies_beside_them()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        string id = await server.Client.StartAsync("{}");
        await server.Client.ResultsAsync(id);
        await page.GotoAsync(new Uri(server.Address, $"/api/sweeps/{id}/report").AbsoluteUri);

        await Expect(page.Locator("#file-links a")).ToHaveTextAsync(
            ["results.json", "heads.csv", "heatmap.csv", "heatmap.png", "heatmap.svg", "report.html", "effects.parquet", "the request", "all sweeps", "the list as JSON"]);
        foreach (var link in await page.Locator("#file-links a").AllAsync())
        {
            var address = new Uri(await link.EvaluateAsync<string>("link => link.href"));
            Assert.Equal(server.Address.Authority, address.Authority);
            if (!address.AbsolutePath.EndsWith("/request", StringComparison.Ordinal))
            {
                using var answer = await server.Client.Http.GetAsync(address);
                Assert.True(answer.IsSuccessStatusCode, address.AbsoluteUri);
            }
        }

        // As a file of its own name it has its siblings; under another name it may be anywhere.
        using var folder = new TemporaryFolder();
        foreach (string name in (string[])["report.html", "sent-by-mail.html"])
        {
            await File.WriteAllTextAsync(folder[name], await server.Client.Http.GetStringAsync($"/api/sweeps/{id}/report"));
            await page.GotoAsync(new Uri(folder[name]).AbsoluteUri);
            await Expect(page.Locator("#detail h3")).ToBeVisibleAsync();
            await Expect(page.Locator("#file-links a")).ToHaveCountAsync(name == "report.html" ? 7 : 0);
        }

        Assert.Empty(watched.Errors);
    }

    [Theory]
    [InlineData(390, false)]
    [InlineData(718, true)]
    public async Task Patterns_and_prompts_fit_a_telephone_and_paper(int width, bool print)
    {
        await using var watched = await chromium.OpenAsync(width: width);
        await using var server = await PageServer.StartAsync();
        if (print)
        {
            await watched.Page.EmulateMediaAsync(new() { Media = Media.Print });
        }

        string id = await server.Client.StartAsync("""{"positions": "each"}""");
        await server.Client.ResultsAsync(id);
        await watched.Page.GotoAsync(new Uri(server.Address, $"/api/sweeps/{id}/report").AbsoluteUri);
        await Expect(watched.Page.Locator("#pattern-grids .pattern")).ToHaveCountAsync(3);
        await AssertAllColumnsInViewAsync(watched.Page);
        Assert.True(await watched.Page.EvaluateAsync<bool>("""
            () => [...document.querySelectorAll(".small-grid .cell, #prompt-tokens .token" + (matchMedia("print").matches ? ", #ranking td" : ""))].every(one => {
              const [here, card] = [one.getBoundingClientRect(), one.closest(".card").getBoundingClientRect()];
              return here.width > 2 && here.left >= card.left && here.right <= card.right;
            })
            """));
        Assert.Empty(watched.Errors);
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
