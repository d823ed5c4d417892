using System.Security.Cryptography;
using System.Text;
using HeadPatching.Sweeps.Plans;

namespace HeadPatching.Sweeps.Requests;

/// <summary>
/// A sweep's id: 24 lower-case hexadecimal digits after a letter that says where it comes from. What makes two requests the same sweep is
/// in the id, so no record of keys is needed: whoever asks again comes to the same artifacts.
/// </summary>
public static class SweepIds
{
    /// <summary>A new sweep, like no other.</summary>
    public static string New() => "n" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12));

    /// <summary>The sweep of an <c>Idempotency-Key</c>: the same key, the same sweep.</summary>
    public static string OfKey(string idempotencyKey) => "k" + Hash(idempotencyKey);

    /// <summary>The sweep of its content: the same numbers shown the same way are the same sweep, and it goes on where it stopped.</summary>
    public static string OfContent(PlannedSweep plan) => "c" + Hash(plan.Content());

    /// <summary>Whether the sweep's id is like no other; under an id that comes of a key or of content, a sweep may come anew once it was deleted.</summary>
    public static bool IsNeverUsedAgain(string id) => id[0] == 'n';

    /// <summary>Whether a text has the form of an id; anything else names no sweep and never reaches the store.</summary>
    public static bool IsValid(string id) =>
        id.Length == 25 && id[0] is 'n' or 'k' or 'c' && id.Skip(1).All(character => char.IsAsciiHexDigitLower(character));

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..24];
}
