using System.Text.RegularExpressions;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Reports.Comparing;
using HeadPatching.Testing;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace HeadPatching.Pages.Tests;

/// <summary>Two sweeps side by side in a real browser: from the list of sweeps, and the page over comparisons of every shape.</summary>
public sealed class ComparisonInBrowserTests(Chromium chromium)
{
    [Fact]
    public async Task Two_sweeps_of_the_list_are_chosen_and_compared()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync();
        var page = watched.Page;
        string a = await server.Client.StartAsync("{}"), b = await server.Client.StartAsync("""{"direction": "noise"}""");
        await server.Client.ResultsAsync(a);
        await server.Client.ResultsAsync(b);
        await page.GotoAsync(server.Address.AbsoluteUri);
        await page.Locator($".sweep[data-id='{b}'] .choose").CheckAsync();
        await Expect(page.Locator("#compare-chosen")).ToBeHiddenAsync();
        await page.Locator($".sweep[data-id='{a}'] .choose").CheckAsync();
        await page.ClickAsync("#compare-chosen");
        await Expect(page).ToHaveURLAsync(new Regex($"/api/compare/page\\?a={a}&b={b}$"));
        await Expect(page.Locator("#lead")).ToContainTextAsync("A: denoise");
        await Expect(page.Locator("#lead")).ToContainTextAsync("B: noise");
        await Expect(page.Locator("#facts tr.differs th").First).ToContainTextAsync("direction");
        await Expect(page.Locator("#heatmap .cell")).ToHaveCountAsync(24);
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task A_head_that_is_pointed_at_or_focused_is_marked_in_both_pictures_and_in_the_table()
    {
        await using var watched = await chromium.OpenAsync();
        var page = watched.Page;
        await OpenAsync(page, ExampleSweep.Of(4, 6, pairs: 10), ExampleSweep.Of(4, 6, pairs: 10) with { Direction = Direction.Noise });
        var table = page.Locator("#heads tbody");
        await page.Locator(".cell[data-layer='1'][data-column='2']").FocusAsync();
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(page.Locator(".cell[data-layer='1'][data-column='3']")).ToBeFocusedAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L1H3");
        await Expect(page.Locator("#against .current title")).ToHaveTextAsync(new Regex("^L1H3: "));
        await page.ClickAsync("#show-all");
        await Expect(table.Locator("tr")).ToHaveCountAsync(24);
        await Expect(table.Locator("tr.current td").First).ToHaveTextAsync("L1H3");

        // A row that is pointed at is marked until the pointer leaves; one that is chosen stays.
        await table.Locator("tr", new() { HasText = "L2H5" }).HoverAsync();
        await Expect(page.Locator(".cell.current")).ToHaveAttributeAsync("aria-label", new Regex("^L2H5, difference"));
        await page.Locator("h1").HoverAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L1H3");
        await table.Locator("tr", new() { HasText = "L2H5" }).Locator("button").FocusAsync();
        await page.Locator("h1").HoverAsync();
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L2H5");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task The_table_is_sorted_by_what_its_head_says()
    {
        await using var watched = await chromium.OpenAsync();
        var page = watched.Page;
        await OpenAsync(page, ExampleSweep.Of(3, 4, pairs: 10), ExampleSweep.Of(3, 4, pairs: 10) with { Direction = Direction.Noise });
        await Expect(page.Locator("#heads th[aria-sort]")).ToHaveTextAsync("Difference");
        await page.Locator("#heads th button", new() { HasTextRegex = new Regex("^Head$") }).ClickAsync();
        await Expect(page.Locator("#heads th[aria-sort=ascending]")).ToHaveTextAsync("Head");
        Assert.Equal(
            from layer in Enumerable.Range(0, 3) from head in Enumerable.Range(0, 4) select $"L{layer}H{head}",
            await page.Locator("#heads tbody tr td:first-child").AllTextContentsAsync());
        await page.Locator("#heads th button", new() { HasTextRegex = new Regex("^Head$") }).ClickAsync();
        await Expect(page.Locator("#heads tbody tr td").First).ToHaveTextAsync("L2H3");
        Assert.Empty(watched.Errors);
    }

    [Theory]
    [InlineData(1280)]
    [InlineData(390)]
    public async Task Every_shape_is_in_view_at_every_width(int width)
    {
        await using var watched = await chromium.OpenAsync(width: width);
        var page = watched.Page;
        SweepResult[] shapes =
        [
            ExampleSweep.Of(12, 12, pairs: 10), ExampleSweep.Of(32, 32, pairs: 5), ExampleSweep.OfLayers(6), ExampleSweep.OfLayers(6, eachPosition: true),
            ExampleSweep.OfKeyValueHeads(4, 2), ExampleSweep.Of(3, 4, eachPosition: true), ExampleSweep.Of(2, 3, pairs: 2),
        ];
        foreach (SweepResult shape in shapes)
        {
            await OpenAsync(page, shape, shape with { Direction = Direction.Noise });
            await Expect(page.Locator("#detail h3")).ToHaveCountAsync(1);
            Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), $"{shape.Heatmap.Length} x {shape.Heatmap[0].Length}: the page is wider than its window.");
            Assert.True(
                await page.EvaluateAsync<bool>("(frame => [...document.querySelectorAll('#heatmap .cell')].every(cell => cell.getBoundingClientRect().right <= frame.right + 2))(document.querySelector('.heatmap-scroll').getBoundingClientRect())"),
                $"{shape.Heatmap.Length} x {shape.Heatmap[0].Length}: a column is cut off.");
        }

        Assert.Empty(watched.Errors);
    }

    private static async Task OpenAsync(IPage page, SweepResult a, SweepResult b)
    {
        SweepComparison comparison = await SweepComparer.CompareAsync(ComparedSweep.Of(a), ComparedSweep.Of(b), cancellationToken: TestContext.Current.CancellationToken);
        using var folder = new TemporaryFolder();
        await using (var file = File.Create(folder["comparison.html"]))
        {
            ComparisonFiles.Page.Write(comparison, file);
        }

        await page.GotoAsync(new Uri(folder["comparison.html"]).AbsoluteUri);
    }
}
