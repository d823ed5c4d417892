using System.Text.RegularExpressions;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Series;
using HeadPatching.Reports.Series;
using HeadPatching.Testing;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace HeadPatching.Pages.Tests;

/// <summary>The page of a sweep over several models, in a real browser.</summary>
public sealed class SeriesInBrowserTests(Chromium chromium)
{
    [Fact]
    public async Task The_slider_goes_through_the_models_on_one_scale()
    {
        await using var watched = await chromium.OpenAsync();
        var page = watched.Page;
        await OpenAsync(page, [ExampleSweep.From([[0.01, 0.02], [0.03, 0.04]]), ExampleSweep.From([[0.01, 0.3], [0.03, -0.8]]), ExampleSweep.From([[0.01, 0.6], [0.03, -0.4]])]);
        await Expect(page.Locator("#model-name")).ToHaveTextAsync("step-3 (3 of 3)");
        await Expect(page.Locator("#legend-high")).ToHaveTextAsync("0.80");
        var cell = page.Locator(".cell[data-layer='1'][data-column='1']");
        await Expect(cell).ToHaveAttributeAsync("data-value", "-0.4");

        await page.Locator("#model").FocusAsync();
        await page.Keyboard.PressAsync("ArrowLeft");
        await Expect(page.Locator("#model-name")).ToHaveTextAsync("step-2 (2 of 3)");
        await Expect(cell).ToHaveAttributeAsync("data-value", "-0.8");
        await Expect(page).ToHaveURLAsync(new Regex("#model=1$"));
        await page.ReloadAsync();
        await Expect(page.Locator("#model-name")).ToHaveTextAsync("step-2 (2 of 3)");
        await Expect(page.Locator("#models tr.current td").First).ToContainTextAsync("step-2");

        // The heads that are ever important have lines; one that is focused is marked, and one that has none gets it.
        Assert.Equal(["L1H1", "L0H1"], await page.Locator("#names button").AllTextContentsAsync());
        await cell.FocusAsync();
        await Expect(page.Locator("#lines .current .name")).ToHaveTextAsync("L1H1");
        await page.Keyboard.PressAsync("ArrowLeft");
        await Expect(page.Locator("#detail h3")).ToHaveTextAsync("L1H0");
        await Expect(page.Locator("#lines .other .name")).ToHaveTextAsync("L1H0");

        await page.ClickAsync("#play");
        await Expect(page.Locator("#model-name")).ToHaveTextAsync("step-3 (3 of 3)");
        await Expect(page.Locator("#play")).ToHaveTextAsync("Play");
        Assert.Empty(watched.Errors);
    }

    [Theory]
    [InlineData(1280)]
    [InlineData(390)]
    public async Task Every_shape_is_in_view_at_every_width(int width)
    {
        await using var watched = await chromium.OpenAsync(width: width);
        foreach (SweepResult shape in (SweepResult[])[ExampleSweep.Of(12, 12), ExampleSweep.Of(32, 32), ExampleSweep.OfLayers(6), ExampleSweep.OfKeyValueHeads(4, 2)])
        {
            await OpenAsync(watched.Page, [.. Enumerable.Repeat(shape, 20)]);
            await Expect(watched.Page.Locator("#detail h3")).ToHaveCountAsync(1);
            Assert.True(await watched.Page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), $"{shape.Heatmap.Length} x {shape.Heatmap[0].Length}: the page is wider than its window.");
        }

        await OpenAsync(watched.Page, [ExampleSweep.Of(2, 2)]); // one alone is a series, too
        await Expect(watched.Page.Locator("#model-name")).ToHaveTextAsync("step-1 (1 of 1)");
        Assert.Empty(watched.Errors);
    }

    [Fact]
    public async Task A_series_is_started_from_the_form_and_its_page_leads_to_each_report_and_deleting_it_takes_its_sweeps()
    {
        await using var watched = await chromium.OpenAsync();
        await using var server = await PageServer.StartAsync("step-10", "step-2");
        IPage page = watched.Page;
        await page.GotoAsync(server.Address.AbsoluteUri);
        await Expect(page.Locator("#all-series")).ToBeHiddenAsync();
        await page.ClickAsync("#several-models");
        Assert.Equal(["ioi-demo", LongSweep.Model, "step-2", "step-10"], await page.Locator("#models .check").AllTextContentsAsync());
        await page.Locator("#models").GetByLabel("step-10").CheckAsync();
        await page.ClickAsync("#start");
        await Expect(page.Locator("#faults-models")).ToContainTextAsync("two models or more");

        // Of another shape: the server says which.
        await page.Locator("#models").GetByLabel(LongSweep.Model).CheckAsync();
        await page.ClickAsync("#start");
        await Expect(page.Locator("#faults-models")).ToContainTextAsync("models of one shape");
        await page.Locator("#models").GetByLabel(LongSweep.Model).UncheckAsync();
        await page.Locator("#models").GetByLabel("step-2").CheckAsync();
        await Expect(page.Locator("#start")).ToHaveTextAsync("Sweep these 2 models");
        await page.ClickAsync("#start");
        await Expect(page.Locator(".series h4")).ToHaveTextAsync("step-2 to step-10 on ioi");
        await Expect(page.Locator(".series .state")).ToHaveTextAsync("completed");
        await Expect(page.Locator(".sweep")).ToHaveCountAsync(2);

        await page.ClickAsync(".series .report");
        await Expect(page.Locator("#model-name")).ToHaveTextAsync("step-10 (2 of 2)");
        await page.Locator("#models a.report").First.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/api/sweeps/k[0-9a-f]+/report$"));
        await Expect(page.Locator("#lead")).ToContainTextAsync("step-2");

        await page.GotoAsync(server.Address.AbsoluteUri);
        await page.ClickAsync(".series .stop");
        await Expect(page.Locator("#confirm-text")).ToContainTextAsync("2 sweeps go with it");
        await page.ClickAsync("#confirm-yes");
        await Expect(page.Locator("#all-series")).ToBeHiddenAsync();
        await Expect(page.Locator("#empty")).ToBeVisibleAsync();
        Assert.All(watched.Errors, error => Assert.Contains("400", error, StringComparison.Ordinal)); // what the server refused
    }

    private static async Task OpenAsync(IPage page, IReadOnlyList<SweepResult> results)
    {
        SweepSeries series = SweepSeries.Of([.. results.Select((result, index) => ($"step-{index + 1}", result with { CleanMetric = 3 + index, CorruptedMetric = -index }))]);
        using var folder = new TemporaryFolder();
        await using (var file = File.Create(folder["series.html"]))
        {
            SeriesFiles.Page.Write(series, file);
        }

        // A page of its own name each: a reload asks for the file again.
        string html = await File.ReadAllTextAsync(folder["series.html"]);
        await page.RouteAsync("http://series.test/*", route => route.FulfillAsync(new() { ContentType = "text/html; charset=utf-8", Body = html }));
        await page.GotoAsync("about:blank");
        await page.GotoAsync("http://series.test/series.html");
    }
}
