using System.Security.Cryptography;
using System.Text.Json;
using HeadPatching.Core.Results;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace HeadPatching.Http.Following;

/// <summary>An answer that changes, with a tag of its content: who sends the tag of what he has is told when it is the same.</summary>
/// <param name="Utf8">The JSON.</param>
/// <param name="Tag">Its tag.</param>
internal sealed record TaggedJson(byte[] Utf8, EntityTagHeaderValue Tag)
{
    private const int TagBytes = 12;

    /// <summary>The tag as an event's id.</summary>
    public string Id => Tag.Tag.ToString().Trim('"');

    /// <summary>Writes an answer.</summary>
    public static TaggedJson Of<T>(T answer)
    {
        byte[] utf8 = JsonSerializer.SerializeToUtf8Bytes(answer, ResultJson.Compact);

        // Weak: the same content goes out compressed and as it is.
        return new TaggedJson(utf8, new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(utf8).AsSpan(0, TagBytes))}\"", isWeak: true));
    }

    /// <summary>Whether it is what the caller says he has; null where he says nothing.</summary>
    public bool? IsKnownTo(HttpRequest request)
    {
        IList<EntityTagHeaderValue> known = request.GetTypedHeaders().IfNoneMatch;
        return known.Count == 0 ? null : known.Any(tag => tag.Compare(Tag, useStrongComparison: false));
    }

    /// <summary>The answer: 200, or 304 where the caller has it.</summary>
    public IResult Result(HttpRequest request)
    {
        request.HttpContext.Response.Headers.CacheControl = "no-cache";
        return Results.Bytes(Utf8, "application/json; charset=utf-8", entityTag: Tag);
    }
}
