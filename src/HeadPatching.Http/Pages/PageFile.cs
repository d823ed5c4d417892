using System.Security.Cryptography;
using System.Text;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Requests;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace HeadPatching.Http.Pages;

/// <summary>
/// A file of the pages: the one that lists sweeps and starts one at <c>/</c>, the description of the API at <c>/docs</c>, and what they are made of under
/// <c>/pages/</c>, all from this assembly.
/// </summary>
public sealed class PageFile
{
    /// <summary>
    /// What the page may do: load its own files, ask its own server, and nothing else. Trusted types keep texts from becoming HTML; the one
    /// policy there is names the page's own worker.
    /// </summary>
    public const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types worker";

    private const string Script = "text/javascript; charset=utf-8";
    private const string Style = "text/css; charset=utf-8";

    private readonly byte[] _content;
    private readonly string _contentType;
    private readonly EntityTagHeaderValue _tag;

    private PageFile(string path, string contentType, byte[] content)
    {
        Path = path;
        _contentType = contentType;
        _content = content;
        _tag = new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, 16))}\"");
    }

    /// <summary>All files.</summary>
    public static IReadOnlyList<PageFile> All { get; } =
    [
        new("/", "text/html; charset=utf-8", Index()),
        new("/docs", "text/html; charset=utf-8", Encoding.UTF8.GetBytes(DocsPage.Html(Encoding.UTF8.GetString(Asset("docs.html"))))),
        new("/pages/docs.css", Style, Asset("docs.css")),
        new("/pages/page.css", Style, Encoding.UTF8.GetBytes(PageStyle.Css)),
        new("/pages/sweeps.css", Style, Asset("sweeps.css")),
        new("/pages/key.js", Script, Asset("key.js")),
        new("/pages/worker.js", Script, Asset("worker.js")),
        new("/pages/stamp.js", Script, Asset("stamp.js")),
        new("/pages/sweeps.js", Script, Asset("sweeps.js")),
        new("/pages/icon.svg", "image/svg+xml", Asset("icon.svg")),
    ];

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>The file. Browsers ask again each time and are told "not modified", so a new version of the program is seen at once.</summary>
    public IResult Answer(HttpContext http)
    {
        IHeaderDictionary headers = http.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Service-Worker-Allowed"] = "/"; // it lies under /pages/ and is there for links to /api/
        headers.CacheControl = "no-cache";
        return Results.Bytes(_content, _contentType, entityTag: _tag);
    }

    /// <summary>The page, with the fields of the options in their places.</summary>
    private static byte[] Index() => Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(Asset("index.html"))
        .Replace("<!-- fields of the options -->", OptionFields.Html(FormPlace.Options), StringComparison.Ordinal)
        .Replace("<!-- fields of the advanced options -->", OptionFields.Html(FormPlace.Advanced), StringComparison.Ordinal));

    private static byte[] Asset(string name)
    {
        using var stream = typeof(PageFile).Assembly.GetManifestResourceStream($"Pages.{name}")
            ?? throw new ArgumentException($"No file of the page is called '{name}'.", nameof(name));
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }
}
