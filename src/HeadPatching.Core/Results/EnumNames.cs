using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace HeadPatching.Core.Results;

/// <summary>
/// The names of enumeration values as results, requests and the command line have them: kebab-case (<c>mean-of-ratios</c>), or the name
/// that TransformerLens has for the thing (<c>attn_out</c>).
/// </summary>
public static class EnumNames
{
    /// <summary>A value's name.</summary>
    public static string NameOf<T>(this T value)
        where T : struct, Enum =>
        typeof(T).GetField(value.ToString())?.GetCustomAttribute<JsonStringEnumMemberNameAttribute>()?.Name
        ?? JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString());
}
