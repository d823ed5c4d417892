using System.Collections.Concurrent;
using Microsoft.Playwright;

namespace HeadPatching.Pages.Tests;

/// <summary>A page of the browser that keeps account of what it asked for and of what went wrong in it.</summary>
public sealed class WatchedPage : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _errors = [];
    private readonly ConcurrentQueue<Uri> _requests = [];

    public WatchedPage(IPage page)
    {
        Page = page;
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
                _errors.Enqueue($"{message.Type}: {message.Text}");
        };
        page.PageError += (_, error) => _errors.Enqueue($"uncaught: {error}");
        page.Request += (_, request) => _requests.Enqueue(new Uri(request.Url));
    }

    public IPage Page { get; }

    /// <summary>Console errors and warnings, and exceptions that nobody caught.</summary>
    public IReadOnlyCollection<string> Errors => _errors;

    /// <summary>Every request so far, in order; data: URLs among them.</summary>
    public IReadOnlyCollection<Uri> Requests => _requests;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await Page.Context.DisposeAsync();
}
