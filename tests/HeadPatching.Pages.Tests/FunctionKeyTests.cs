using System.Collections.Concurrent;
using HeadPatching.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace HeadPatching.Pages.Tests;

/// <summary>The page of a host that asks for a function key, as the app in Azure does: the page itself needs none, every call of the API does.</summary>
public sealed class FunctionKeyTests(Chromium chromium) : IAsyncLifetime
{
    private const string Key = "key-of-the-app/+=";

    private readonly ConcurrentQueue<string> _addresses = [];
    private PageServer? _server;
    private FaultyProxy? _host;

    private string Page => _host!.Address.AbsoluteUri;

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        _server = await PageServer.StartAsync();
        _host = await FaultyProxy.StartAsync(_server.Address, admits: request =>
        {
            _addresses.Enqueue(request.Path + request.QueryString);
            return !request.Path.StartsWithSegments("/api", StringComparison.Ordinal) || request.Headers["x-functions-key"] == Key;
        });
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
        {
            await _host.DisposeAsync();
        }

        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }

    [Fact]
    public async Task With_the_key_from_the_form_a_sweep_is_started_and_its_report_and_files_open_and_no_address_ever_has_it()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        IPage page = watched.Page;
        await page.GotoAsync(Page);
        await page.FillAsync("#key", "another key");
        await page.ClickAsync("#key-form button");
        await Expect(page.Locator("#key-refused")).ToHaveTextAsync("The server does not take this key.");

        await page.FillAsync("#key", Key);
        await page.ClickAsync("#key-form button");
        await Expect(page.Locator("#key-form")).ToBeHiddenAsync();
        await page.ClickAsync("#first-sweep");
        await Expect(page.Locator(".sweep .state")).ToHaveTextAsync("completed");

        // A link's request is a navigation, a picture's is the browser's own: neither can be given a header by the page.
        Assert.Equal(451, await page.EvaluateAsync<int>(
            """
            () => new Promise(done => {
              const picture = new Image();
              picture.onload = () => done(picture.naturalWidth > 0 ? 451 : 0);
              picture.onerror = () => done(-1);
              picture.src = document.querySelector('.sweep a[href$="heatmap.png"]').href;
            })
            """));
        await page.ClickAsync(".sweep .report");
        await Expect(page.Locator("#heatmap .cell")).ToHaveCountAsync(3 * 8);
        await Expect(page.Locator("#detail")).Not.ToBeEmptyAsync(); // its script runs
        await page.ReloadAsync();
        await Expect(page.Locator("#heatmap .cell")).ToHaveCountAsync(3 * 8);

        await page.GotoAsync(Page);
        await page.ClickAsync(".sweep .stop");
        await page.ClickAsync("#confirm-yes");
        await Expect(page.Locator("#empty")).ToBeVisibleAsync();
        Assert.DoesNotContain(_addresses, address => address.Contains("key-of", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_key_at_the_end_of_the_address_is_taken_off_it_kept_and_forgotten_when_asked()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        IPage page = watched.Page;
        await page.GotoAsync($"{Page}#key={Uri.EscapeDataString(Key)}");
        await Expect(page.Locator("#empty")).ToBeVisibleAsync();
        await Expect(page).ToHaveURLAsync(Page);
        Assert.Empty(watched.Errors);

        await page.ReloadAsync();
        await Expect(page.Locator("#empty")).ToBeVisibleAsync();
        await Expect(page.Locator("#key-form")).ToBeHiddenAsync();
        Assert.DoesNotContain(_addresses, address => address.Contains("key-of", StringComparison.Ordinal));

        await page.ClickAsync("#forget-key");
        await Expect(page.Locator("#key-form")).ToBeVisibleAsync();
        Assert.Equal(StatusCodes.Status401Unauthorized, await page.EvaluateAsync<int>("fetch('api/models').then(answer => answer.status)"));
    }

    [Fact]
    public async Task A_link_leads_back_to_the_page_where_the_key_is_no_longer_taken()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        IPage page = watched.Page;
        await page.GotoAsync($"{Page}#key=an-old-one");
        await Expect(page.Locator("#key-refused")).ToHaveTextAsync("The server does not take this key.");
        await page.GotoAsync($"{Page}api/sweeps/any/report");
        await Expect(page).ToHaveURLAsync(Page);
        await Expect(page.Locator("#key-form")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task A_form_that_another_site_sends_does_not_get_the_key()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        IPage page = watched.Page;
        await page.GotoAsync($"{Page}#key={Uri.EscapeDataString(Key)}");
        await Expect(page.Locator("#empty")).ToBeVisibleAsync();

        await page.GotoAsync($"data:text/html,<form method=post enctype=text/plain action='{Page}api/sweeps'><input name='{{\"model\":\"ioi-demo\",\"x' value='\":1}}'></form>");
        IResponse answer = await page.RunAndWaitForResponseAsync(
            () => page.EvaluateAsync("document.forms[0].submit()"), response => response.Url.EndsWith("/api/sweeps", StringComparison.Ordinal));
        Assert.Equal(StatusCodes.Status401Unauthorized, answer.Status);
    }
}
