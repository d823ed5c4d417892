using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary>
/// A loopback server of one repository, <c>org/tiny</c>, as a Hugging Face hub serves it: large files by a redirect to another host (here
/// another port), whose hash and length the hub announces. It can be told to misbehave.
/// </summary>
internal sealed class HubServer : IAsyncDisposable
{
    private readonly WebApplication _hub;
    private readonly WebApplication _storage;

    private HubServer(WebApplication hub, WebApplication storage)
    {
        (_hub, _storage) = (hub, storage);
        _hub.Run(HubAsync);
        _storage.Run(context => SendAsync(context, context.Request.Path.Value!.TrimStart('/')));
    }

    /// <summary>The repository's files.</summary>
    public ConcurrentDictionary<string, byte[]> Files { get; } = new();

    /// <summary>Each request: where (hub, storage), what, whether with the token, from which byte.</summary>
    public ConcurrentQueue<(string Where, string Method, string File, bool Token, string Range)> Requests { get; } = [];

    /// <summary>Is asked first at the hub; true: it has answered.</summary>
    public Func<HttpContext, string, bool> Misbehave { get; set; } = (_, _) => false;

    /// <summary>The same, for answers that take a while.</summary>
    public Func<HttpContext, string, Task<bool>> Respond { get; set; } = (_, _) => Task.FromResult(false);

    /// <summary>After how many bytes the storage drops each connection.</summary>
    public int? DropAfter { get; set; }

    /// <summary>Whether the storage sends all of a file whatever range is asked for.</summary>
    public bool RefusesRanges { get; set; }

    /// <summary>The most requests that the storage answered at a time.</summary>
    public int MostAtOnce { get; private set; }

    private int _sending;

    /// <summary>What the storage sends instead of a file.</summary>
    public Func<byte[], byte[]> Content { get; set; } = content => content;

    public string Address => _hub.Urls.Single();

    public static async Task<HubServer> StartAsync(string folder)
    {
        var server = new HubServer(Build(), Build());
        foreach (string file in Directory.GetFiles(folder))
        {
            server.Files[Path.GetFileName(file)] = File.ReadAllBytes(file);
        }

        await server._hub.StartAsync();
        await server._storage.StartAsync();
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        await _storage.DisposeAsync();
    }

    private static WebApplication Build()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory }); // the current folder may be a command's
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        return builder.Build();
    }

    private async Task HubAsync(HttpContext context)
    {
        string file = context.Request.Path.Value!.Split('/')[^1];
        Record("hub", context, file);
        HttpResponse response = context.Response;
        if (Misbehave(context, file) || await Respond(context, file))
        {
            return;
        }

        if (!context.Request.Path.StartsWithSegments("/org/tiny/resolve/main"))
        {
            response.StatusCode = 401; // as the hub does for what is not there, to whom has no token
            response.Headers["X-Error-Code"] = "RepoNotFound";
        }
        else if (!Files.TryGetValue(file, out byte[]? content))
        {
            response.StatusCode = 404;
            response.Headers["X-Error-Code"] = "EntryNotFound";
        }
        else if (file.EndsWith(".safetensors", StringComparison.Ordinal))
        {
            response.Headers["X-Linked-Size"] = content.Length.ToString(CultureInfo.InvariantCulture);
            response.Headers["X-Linked-ETag"] = $"\"{Convert.ToHexStringLower(SHA256.HashData(content))}\"";
            response.Redirect($"{_storage.Urls.Single()}/{file}");
        }
        else
        {
            response.Headers.ETag = "\"0123456789012345678901234567890123456789\"";
            response.ContentLength = content.Length;
            if (HttpMethods.IsGet(context.Request.Method))
            {
                await response.Body.WriteAsync(content);
            }
        }
    }

    private async Task SendAsync(HttpContext context, string file)
    {
        Record("storage", context, file);
        byte[] content = Content(Files[file]);
        RangeItemHeaderValue? range = RefusesRanges ? null : context.Request.GetTypedHeaders().Range?.Ranges.Single();
        int from = (int)(range?.From ?? 0), end = (int)Math.Min(content.Length, (range?.To ?? long.MaxValue - 1) + 1);
        if (from > content.Length)
        {
            context.Response.StatusCode = 416;
            return;
        }

        if (from > 0 || range?.To is not null)
        {
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {from}-{end - 1}/{content.Length}";
        }

        context.Response.ContentLength = end - from;
        int now = Interlocked.Increment(ref _sending);
        MostAtOnce = Math.Max(MostAtOnce, now);
        try
        {
            if (range?.To is not null)
            {
                await Task.Delay(50); // long enough for others to come meanwhile
            }

            if (DropAfter is int bytes && from + bytes < end)
            {
                await context.Response.Body.WriteAsync(content.AsMemory(from, bytes));
                await context.Response.Body.FlushAsync();
                await Task.Delay(50); // so that the bytes are on their way before the connection is cut
                context.Abort();
                return;
            }

            await context.Response.Body.WriteAsync(content.AsMemory(from, end - from));
        }
        finally
        {
            Interlocked.Decrement(ref _sending);
        }
    }

    private void Record(string where, HttpContext context, string file) =>
        Requests.Enqueue((where, context.Request.Method, file, context.Request.Headers.Authorization.Count > 0, context.Request.Headers.Range.ToString()));
}
