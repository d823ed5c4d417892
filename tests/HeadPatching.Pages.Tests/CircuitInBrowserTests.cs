using System.Text.RegularExpressions;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Results;
using HeadPatching.Reports.Circuits;
using HeadPatching.Testing;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace HeadPatching.Pages.Tests;

/// <summary>The page of a circuit and its proof, in a real browser.</summary>
public sealed class CircuitInBrowserTests(Chromium chromium)
{
    [Fact]
    public async Task A_node_that_is_pointed_at_or_focused_is_marked_in_the_graph_and_in_the_table_and_has_an_address()
    {
        await using var watched = await chromium.OpenAsync();
        var page = watched.Page;
        SweepResult sweep = ExampleProof.Sweep(4, 6);
        ProofSheet sheet = ExampleProof.Of(sweep, nodes: 6, mlps: true);
        using var folder = new TemporaryFolder();
        string address = await OpenAsync(page, folder, sheet, sweep);
        string[] names = [.. sheet.Circuit.Nodes.Select(node => node.Node.ToString())];

        // Layers upwards, heads by number, MLPs beside them; one of them is reached by the tab key.
        string[] inGraph = [.. sheet.Circuit.Nodes.OrderByDescending(node => node.Node.Layer).ThenBy(node => node.Node.Kind).ThenBy(node => node.Node.Head).Select(node => node.Node.ToString())];
        Assert.Equal(inGraph, await page.Locator("#graph .node").EvaluateAllAsync<string[]>("nodes => nodes.map(node => node.dataset.name)"));
        await Expect(page.Locator("#graph .node[tabindex='0']")).ToHaveCountAsync(1);
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync(names[0]);
        await Expect(page.Locator("#nodes tbody tr")).ToHaveCountAsync(6);
        await Expect(page.Locator("#nodes .badge")).ToHaveCountAsync(1); // what loses 0.001 cannot be told from nothing

        await Node(inGraph[0]).FocusAsync();
        await page.Keyboard.PressAsync("ArrowDown");
        string below = await page.EvaluateAsync<string>("document.activeElement.dataset.name");
        Assert.NotEqual(inGraph[0], below);
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync(below);
        await Expect(page.Locator("#nodes tr.current .head-link")).ToHaveTextAsync(below);
        await page.Keyboard.PressAsync("Control+End");
        await Expect(Node(inGraph[^1])).ToBeFocusedAsync();
        await Expect(page).ToHaveURLAsync(new Regex($"#node={inGraph[^1]}$"));

        // A row that is pointed at is marked until the pointer leaves.
        await page.Locator("#nodes tr", new() { HasText = names[1] }).First.HoverAsync();
        await Expect(Node(names[1])).ToHaveClassAsync(new Regex("current"));
        await page.Locator("h1").HoverAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync(inGraph[^1]);

        await page.GotoAsync("about:blank");
        await page.GotoAsync($"{address}#node={names[2]}");
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync(names[2]);
        await Expect(Node(names[2])).ToHaveAttributeAsync("aria-label", new Regex($"^{names[2]}, effect .*, f lost without it"));
        Assert.Empty(watched.Errors);

        ILocator Node(string name) => page.Locator($"#graph .node[data-name='{name}']");
    }

    [Fact]
    public async Task The_curve_and_its_table_mark_the_same_size_and_the_verdict_and_files_are_there()
    {
        await using var watched = await chromium.OpenAsync();
        var page = watched.Page;
        SweepResult sweep = ExampleProof.Sweep(3, 8);
        ProofSheet sheet = ExampleProof.Of(sweep);
        using var folder = new TemporaryFolder();
        await OpenAsync(page, folder, sheet, sweep);
        await Expect(page.Locator("#verdict li")).ToHaveTextAsync([.. sheet.Verdict]);
        await Expect(page.Locator("#verdict .notice")).ToContainTextAsync("Not shown to be needed");
        await Expect(page.Locator("#sizes tbody tr")).ToHaveCountAsync(sheet.Sizes.Count);
        await Expect(page.Locator("#curve .alone circle")).ToHaveCountAsync(sheet.Sizes.Count);
        await Expect(page.Locator("#curve polygon.most")).ToHaveCountAsync(1);
        await page.Locator("#curve .alone circle").Nth(1).HoverAsync();
        await Expect(page.Locator("#sizes tr.current td").First).ToHaveTextAsync($"{sheet.Sizes[1].Nodes}");
        await Expect(page.Locator("#areas")).ToContainTextAsync("random circuits");

        foreach (string name in await page.Locator("#file-links a").AllTextContentsAsync())
        {
            Assert.True(name == "circuit.json" || File.Exists(folder[name]), name);
        }

        Assert.Empty(watched.Errors);
    }

    [Theory]
    [InlineData(1280)]
    [InlineData(390)]
    public async Task Every_shape_is_in_view_at_every_width(int width)
    {
        await using var watched = await chromium.OpenAsync(width: width);
        var page = watched.Page;
        foreach (var (layers, heads, nodes, mlps, random, intervals) in ((int, int, int, bool, int, bool)[])
            [(12, 12, 26, true, 100, true), (32, 32, 60, false, 100, true), (6, 40, 90, true, 20, true), (1, 2, 1, false, 0, false), (2, 2, 4, false, 10, true)])
        {
            SweepResult sweep = ExampleProof.Sweep(layers, heads);
            using var folder = new TemporaryFolder();
            await OpenAsync(page, folder, ExampleProof.Of(sweep, nodes, random, mlps, intervals), sweep);
            await Expect(page.Locator("#detail h3")).ToHaveCountAsync(1);
            await Expect(page.Locator("#graph .node")).ToHaveCountAsync(nodes);
            Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), $"{layers} x {heads}: the page is wider than its window.");
            Assert.True(
                await page.EvaluateAsync<bool>("[...document.querySelectorAll('#graph .node')].every(node => node.getBoundingClientRect().left >= 0 && node.getBoundingClientRect().right <= innerWidth)"),
                $"{layers} x {heads}: a node is cut off.");
        }

        Assert.Empty(watched.Errors);
    }

    private static async Task<string> OpenAsync(IPage page, TemporaryFolder folder, ProofSheet sheet, SweepResult sweep)
    {
        foreach (var (name, write) in CircuitFiles.Of(sheet, sweep))
        {
            await using var file = File.Create(folder[name]);
            write(file);
        }

        string address = new Uri(folder["circuit.html"]).AbsoluteUri;
        await page.GotoAsync(address);
        return address;
    }
}
