using HeadPatching.Http.Problems;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Serving;

/// <summary>
/// A server without a login can be reached by every page that a browser near it opens, also one on loopback. So it refuses
/// (1) a Host that is neither this machine's nor allowed, since a page may point its own name at 127.0.0.1 (DNS rebinding), and
/// (2) a request that changes something and comes from a page of another site, by Origin and Sec-Fetch-Site.
/// Reading across sites is already kept from pages by their browser, since CORS headers are sent to named origins alone. Programs send none of these headers.
/// </summary>
internal sealed class SameSiteGuard
{
    private readonly RequestDelegate _next;
    private readonly IReadOnlySet<string>? _hosts;
    private readonly IReadOnlySet<string> _origins;

    /// <summary>Makes the guard.</summary>
    /// <param name="next">What it guards.</param>
    /// <param name="hosts">The hosts that requests may name; null: any.</param>
    /// <param name="origins">The origins whose pages may do what this server's own may.</param>
    public SameSiteGuard(RequestDelegate next, IReadOnlySet<string>? hosts, IReadOnlySet<string> origins)
    {
        _next = next;
        _hosts = hosts;
        _origins = origins;
    }

    public async Task InvokeAsync(HttpContext context)
    {
        HttpRequest request = context.Request;
        IHeaderDictionary headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";

        if (_hosts is not null && !_hosts.Contains(request.Host.Host))
        {
            await Problem.Of(
                StatusCodes.Status403Forbidden,
                ProblemTypes.UnknownHost,
                "This server does not answer to that host.",
                "Ask for this machine's own name or address, such as localhost; other names are those that --allowed-hosts lists.").ExecuteAsync(context);
        }
        else if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method) && IsCrossSite(request))
        {
            await Problem.Of(
                StatusCodes.Status403Forbidden,
                ProblemTypes.CrossSite,
                "A page of another site may not do this.",
                "Only this server's own pages, those of the origins that --cors-origin names, and programs outside a browser may.").ExecuteAsync(context);
        }
        else
        {
            await _next(context);
        }
    }

    private bool IsCrossSite(HttpRequest request)
    {
        string origin = request.Headers.Origin.ToString();
        if (_origins.Contains(origin))
        {
            return false;
        }

        bool foreign = origin.Length > 0
            && !(Uri.TryCreate(origin, UriKind.Absolute, out Uri? page) && string.Equals(page.Authority, request.Host.Value, StringComparison.OrdinalIgnoreCase));
        return foreign || request.Headers["Sec-Fetch-Site"] == "cross-site";
    }
}
