using HeadPatching.Http.Following;
using HeadPatching.Http.Requests;
using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace HeadPatching.Http.Serving;

/// <summary>What pages of the origins that the user names may do: all that this server's own may, and nothing with cookies, of which there are none.</summary>
internal static class CrossOrigin
{
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);

    /// <summary>The policy; of no origin it lets nobody in.</summary>
    public static Action<CorsPolicyBuilder> Policy(IReadOnlySet<string> origins) => policy => policy
        .WithOrigins([.. origins])
        .WithMethods(HttpMethods.Get, HttpMethods.Head, HttpMethods.Post, HttpMethods.Delete)
        .WithHeaders(HeaderNames.ContentType, IdempotencyKey.Header, HeaderNames.IfNoneMatch, SweepFollower.LastEventHeader)
        .WithExposedHeaders(HeaderNames.Location, HeaderNames.RetryAfter, HeaderNames.ETag)
        .SetPreflightMaxAge(Remembered);
}
