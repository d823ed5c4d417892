using Microsoft.Playwright;

namespace HeadPatching.Pages.Tests;

/// <summary>
/// One headless Chromium for all tests of the assembly, started by the first that asks. It is the machine's own: the file that
/// HEADPATCHING_CHROMIUM names, or /usr/bin/chromium. Nothing is downloaded.
/// </summary>
public sealed class Chromium : IAsyncDisposable
{
    /// <summary>How long anything may take to come true, in milliseconds: on a machine under load a second of work takes many.</summary>
    private const float Patience = 120_000;

    private readonly SemaphoreSlim _starting = new(1, 1);
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    /// <summary>A page in a profile of its own; skips the test that asks where there is no Chromium.</summary>
    /// <param name="scheme">Whether the user prefers light or dark.</param>
    /// <param name="width">Of the window, in CSS pixels.</param>
    public async Task<WatchedPage> OpenAsync(ColorScheme scheme = ColorScheme.Light, int width = 1280)
    {
        var browser = await BrowserAsync();
        var context = await browser.NewContextAsync(new()
        {
            ColorScheme = scheme,
            ViewportSize = new() { Width = width, Height = 900 },
        });
        context.SetDefaultTimeout(Patience);
        return new WatchedPage(await context.NewPageAsync());
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
            await _browser.DisposeAsync();
        _playwright?.Dispose();
        _starting.Dispose();
    }

    private async Task<IBrowser> BrowserAsync()
    {
        var path = Environment.GetEnvironmentVariable("HEADPATCHING_CHROMIUM") is { Length: > 0 } named ? named : "/usr/bin/chromium";
        if (!File.Exists(path))
            Assert.Skip($"There is no Chromium at {path}; HEADPATCHING_CHROMIUM can name another.");
        await _starting.WaitAsync();
        try
        {
            Assertions.SetDefaultExpectTimeout(Patience);
            _playwright ??= await Playwright.CreateAsync();
            return _browser ??= await _playwright.Chromium.LaunchAsync(new()
            {
                ExecutablePath = path,
                Headless = true,
                Args =
                [
                    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                ],
            });
        }
        finally
        {
            _starting.Release();
        }
    }
}
