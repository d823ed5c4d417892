using HeadPatching.Core.Faults;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace HeadPatching.Http.Requests;

/// <summary>The header <c>Idempotency-Key</c>.</summary>
internal static class IdempotencyKey
{
    /// <summary>The header's name.</summary>
    public const string Header = "Idempotency-Key";

    /// <summary>Reads the key; null without one.</summary>
    /// <exception cref="RefusedRequestException">It is there twice, empty, too long or not plain ASCII.</exception>
    public static string? Read(HttpRequest request, RequestLimits limits)
    {
        StringValues values = request.Headers[Header];
        if (values.Count == 0)
        {
            return null;
        }

        string key = values.ToString();
        bool valid = values.Count == 1 && key.Length > 0 && key.Length <= limits.ShortTextCharacters && key.All(c => c is >= ' ' and <= '~');
        return valid
            ? key
            : throw new RefusedRequestException(
                [new Fault(FaultKinds.InvalidOption, Header, $"The header is there once, with 1 to {limits.ShortTextCharacters} printable ASCII characters.")], 1);
    }
}
