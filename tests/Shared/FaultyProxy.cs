using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Testing;

/// <summary>
/// A loopback HTTP proxy that does to a share of the requests what a bad network does: see <see cref="NetworkFault"/>. The host header is
/// passed along, so signed requests stay right. The faults come by a seed; which request meets which depends on their order.
/// </summary>
public sealed class FaultyProxy : IAsyncDisposable
{
    private static readonly string[] NotForwarded = ["Host", "Connection", "Keep-Alive", "Expect", "Transfer-Encoding"];

    private readonly WebApplication _app;
    private readonly Uri _target;
    private readonly Random _random;
    private readonly double _share;
    private readonly NetworkFault[] _faults;
    private readonly Func<HttpRequest, bool> _admits;
    private long _bytesAnswered;
    private readonly ConcurrentDictionary<NetworkFault, int> _counts = new();
    private readonly HttpMessageInvoker _client = new(
        new SocketsHttpHandler { AllowAutoRedirect = false, AutomaticDecompression = DecompressionMethods.None, UseProxy = false });

    private FaultyProxy(WebApplication app, Uri target, int seed, double share, NetworkFault[] faults, Func<HttpRequest, bool> admits)
    {
        _app = app;
        _target = target;
        _random = new Random(seed);
        _share = share;
        _faults = faults;
        _admits = admits;
    }

    /// <summary>Where it listens: scheme, host and port.</summary>
    public Uri Address => new(_app.Services.GetRequiredService<IServer>()
        .Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    /// <summary>Starts one on a free port.</summary>
    /// <param name="target">Where requests go: scheme, host and port.</param>
    /// <param name="seed">The seed of the faults.</param>
    /// <param name="share">The share of requests that meet a fault, 0 to 1.</param>
    /// <param name="only">The one fault there is; null: all faults are equally likely.</param>
    /// <param name="admits">Which requests have the key they need: the others are answered 401 and nothing more, as a Functions host does. Null: all.</param>
    public static async Task<FaultyProxy> StartAsync(
        Uri target, int seed = 0, double share = 0, NetworkFault? only = null, Func<HttpRequest, bool>? admits = null)
    {
        NetworkFault[] faults = only is { } one ? [one] : [.. Enum.GetValues<NetworkFault>().Where(fault => fault != NetworkFault.None)];
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0").ConfigureKestrel(server => server.Limits.MaxRequestBodySize = null);
        var proxy = new FaultyProxy(builder.Build(), target, seed, share, faults, admits ?? (_ => true));
        proxy._app.Run(proxy.HandleAsync);
        await proxy._app.StartAsync();
        return proxy;
    }

    /// <summary>How many bytes of content it has answered with, as far as answers said their length and were not cut.</summary>
    public long BytesAnswered => Interlocked.Read(ref _bytesAnswered);

    /// <summary>How many requests met this.</summary>
    public int Count(NetworkFault fault) => _counts.GetValueOrDefault(fault);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _client.Dispose();
    }

    private async Task HandleAsync(HttpContext context)
    {
        if (!_admits(context.Request))
        {
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }

        var fault = NextFault();
        _counts.AddOrUpdate(fault, 1, (_, count) => count + 1);
        switch (fault)
        {
            case NetworkFault.RequestLost:
                context.Abort();
                return;
            case NetworkFault.Unavailable:
                // The body is read first, as a service does: an answer in the middle of a request can look like a dropped connection.
                await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
                context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                context.Response.Headers["x-ms-error-code"] = "ServerBusy";
                return;
            case NetworkFault.Delay:
                await Task.Delay(TimeSpan.FromMilliseconds(300), context.RequestAborted);
                break;
        }

        try
        {
            await ForwardAsync(context, fault);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            context.Abort();
        }
    }

    private async Task ForwardAsync(HttpContext context, NetworkFault fault)
    {
        using var request = RequestFor(context);
        using var response = await _client.SendAsync(request, context.RequestAborted);
        if (fault == NetworkFault.AnswerLost)
        {
            context.Abort();
            return;
        }

        context.Response.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.Concat(response.Content.Headers))
        {
            if (!NotForwarded.Contains(name, StringComparer.OrdinalIgnoreCase))
                context.Response.Headers[name] = values.ToArray();
        }

        if (HttpMethods.IsHead(context.Request.Method))
            return;
        if (fault == NetworkFault.AnswerCut)
        {
            var body = await response.Content.ReadAsByteArrayAsync(context.RequestAborted);
            await context.Response.Body.WriteAsync(body.AsMemory(0, body.Length / 2), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            context.Abort();
            return;
        }

        Interlocked.Add(ref _bytesAnswered, response.Content.Headers.ContentLength ?? 0);
        await response.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    private HttpRequestMessage RequestFor(HttpContext context)
    {
        // As it came, letter for letter: the signature is over it.
        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), new Uri(_target, target));
        if (context.Request.ContentLength is > 0)
            request.Content = new StreamContent(context.Request.Body);
        else if (HttpMethods.IsPut(context.Request.Method) || HttpMethods.IsPost(context.Request.Method))
            request.Content = new ByteArrayContent([]);
        foreach (var (name, values) in context.Request.Headers)
        {
            if (!NotForwarded.Contains(name, StringComparer.OrdinalIgnoreCase)
                && !request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values))
            {
                request.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
            }
        }

        request.Headers.Host = context.Request.Host.Value;
        return request;
    }

    private NetworkFault NextFault()
    {
        lock (_random)
            return _random.NextDouble() < _share ? _faults[_random.Next(_faults.Length)] : NetworkFault.None;
    }
}
