using System.Security.Cryptography;
using System.Text;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;

namespace HeadPatching.Http.Pages;

/// <summary>The page that lists sweeps and starts one: <c>/</c> and the few files it is made of, all from this assembly.</summary>
public static class PageRoutes
{
    /// <summary>
    /// What the page may do: load its own files, ask its own server, and nothing else. Trusted types keep texts from becoming HTML.
    /// </summary>
    public const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    /// <summary>Serves the page at <c>/</c> and its files under <c>/pages/</c>.</summary>
    /// <returns><paramref name="routes"/>, to go on with.</returns>
    public static IEndpointRouteBuilder MapPages(this IEndpointRouteBuilder routes)
    {
        Map(routes, "/", "text/html; charset=utf-8", Index());
        Map(routes, "/pages/page.css", "text/css; charset=utf-8", Encoding.UTF8.GetBytes(PageStyle.Css));
        Map(routes, "/pages/sweeps.css", "text/css; charset=utf-8", Asset("sweeps.css"));
        Map(routes, "/pages/sweeps.js", "text/javascript; charset=utf-8", Asset("sweeps.js"));
        Map(routes, "/pages/icon.svg", "image/svg+xml", Asset("icon.svg"));
        return routes;
    }

    private static void Map(IEndpointRouteBuilder routes, string path, string contentType, byte[] content)
    {
        // Browsers ask again each time and are told "not modified", so a new version of the program is seen at once.
        var tag = new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, 16))}\"");
        routes.MapGet(path, (HttpContext http) =>
        {
            var headers = http.Response.Headers;
            headers.ContentSecurityPolicy = ContentSecurityPolicy;
            headers.XContentTypeOptions = "nosniff";
            headers["Referrer-Policy"] = "no-referrer";
            headers["Cross-Origin-Opener-Policy"] = "same-origin";
            headers.CacheControl = "no-cache";
            return Results.Bytes(content, contentType, entityTag: tag);
        }).ExcludeFromDescription();
    }

    /// <summary>The page, with the fields of the options in their places.</summary>
    private static byte[] Index() => Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(Asset("index.html"))
        .Replace("<!-- fields of the options -->", OptionFields.Html(FormPlace.Options), StringComparison.Ordinal)
        .Replace("<!-- fields of the advanced options -->", OptionFields.Html(FormPlace.Advanced), StringComparison.Ordinal));

    private static byte[] Asset(string name)
    {
        using var stream = typeof(PageRoutes).Assembly.GetManifestResourceStream($"Pages.{name}")
            ?? throw new ArgumentException($"No file of the page is called '{name}'.", nameof(name));
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }
}
