using System.IO.Compression;
using Microsoft.AspNetCore.ResponseCompression;

namespace HeadPatching.Http.Serving;

/// <summary>
/// Answers that are text go out compressed where the caller takes that; pictures and Parquet are compressed already, and a stream of events must not wait
/// for more. No answer holds a secret that its length could give away.
/// </summary>
public static class Compression
{
    private static readonly string[] Types =
        ["application/json", "application/problem+json", "text/csv", "text/html", "text/css", "text/javascript", "image/svg+xml"];

    /// <summary>Sets it up.</summary>
    public static void Configure(ResponseCompressionOptions options)
    {
        options.MimeTypes = Types;
        options.EnableForHttps = true;
        options.Providers.Add(new BrotliCompressionProvider(new BrotliCompressionProviderOptions { Level = CompressionLevel.Fastest }));
        options.Providers.Add(new GzipCompressionProvider(new GzipCompressionProviderOptions { Level = CompressionLevel.Fastest }));
    }
}
