using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace HeadPatching.Core.Results;

/// <summary>How results, requests and statuses are written as JSON: camelCase members, kebab-case enum values (<c>mean-of-ratios</c>).</summary>
public static class ResultJson
{
    /// <summary>The options for files: indented.</summary>
    public static JsonSerializerOptions Indented { get; } = Make(indented: true);

    /// <summary>The options for the wire: no white space.</summary>
    public static JsonSerializerOptions Compact { get; } = Make(indented: false);

    private static JsonSerializerOptions Make(bool indented) => new(JsonSerializerDefaults.Web)
    {
        WriteIndented = indented,
        // Token texts such as " café" stay readable; whoever puts this into HTML escapes it there.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.Strict,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false) },
    };
}
