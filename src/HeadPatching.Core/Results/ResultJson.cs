using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Results;

/// <summary>How results, requests and statuses are written as JSON: camelCase members, kebab-case enum values (<c>mean-of-ratios</c>). And results.json.</summary>
public static class ResultJson
{
    /// <summary>The newest version of results.json's schema.</summary>
    private const int NewestSchemaVersion = 2;

    /// <summary>The options for files: indented.</summary>
    public static JsonSerializerOptions Indented { get; } = Make(indented: true);

    /// <summary>The options for the wire: no white space.</summary>
    public static JsonSerializerOptions Compact { get; } = Make(indented: false);

    private static JsonSerializerOptions WithoutPairs { get; } = new(Indented)
    {
        TypeInfoResolver = new DefaultJsonTypeInfoResolver
        {
            Modifiers =
            {
                type =>
                {
                    if (type.Type == typeof(SweepResult))
                    {
                        type.Properties.Remove(type.Properties.Single(property => property.AttributeProvider is MemberInfo { Name: nameof(SweepResult.Pairs) }));
                    }
                },
            },
        },
    };

    /// <summary>results.json: everything that a sweep found.</summary>
    public static ResultFile File { get; } = new("results.json", "application/json", (sweep, to, cancel) => WriteAsync(sweep.Result, to, cancel));

    /// <summary>Writes results.json, without the pairs where there are many (<see cref="SweepResult.ForFile"/>).</summary>
    public static Task WriteAsync(SweepResult result, Stream to, CancellationToken cancellationToken = default) =>
        JsonSerializer.SerializeAsync(to, result.ForFile(), Indented, cancellationToken);

    /// <summary>Reads results.json back, to the last digit.</summary>
    /// <param name="from">The file.</param>
    /// <param name="where">What to call the file in an error.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <exception cref="InvalidInputException">It is not a result, or of a later schema than this version knows.</exception>
    public static Task<SweepResult> ReadAsync(Stream from, string where = "results.json", CancellationToken cancellationToken = default) =>
        ReadAsync(from, where, Indented, cancellationToken);

    /// <summary>Reads results.json without its pairs, which are most of it: for what is made of many sweeps.</summary>
    /// <inheritdoc cref="ReadAsync(Stream, string, CancellationToken)"/>
    public static async Task<SweepResult> ReadWithoutPairsAsync(Stream from, string where = "results.json", CancellationToken cancellationToken = default) =>
        await ReadAsync(from, where, WithoutPairs, cancellationToken) with { Pairs = [] };

    private static async Task<SweepResult> ReadAsync(Stream from, string where, JsonSerializerOptions options, CancellationToken cancellationToken)
    {
        SweepResult? result;
        try
        {
            result = await JsonSerializer.DeserializeAsync<SweepResult>(from, options, cancellationToken);
        }
        catch (JsonException exception)
        {
            throw new InvalidInputException(
                FaultKinds.Malformed, where, $"This is not a sweep's result: {exception.Message}");
        }

        if (result is null || result.SchemaVersion is < 1 or > NewestSchemaVersion)
        {
            throw new InvalidInputException(
                FaultKinds.Malformed,
                where,
                result is null
                    ? "This is not a sweep's result: it holds null."
                    : $"Its schemaVersion is {result.SchemaVersion}; this version of HeadPatching reads 1 to {NewestSchemaVersion}.");
        }

        return result;
    }

    private static JsonSerializerOptions Make(bool indented) => new(JsonSerializerDefaults.Web)
    {
        WriteIndented = indented,
        // Token texts such as " café" stay readable; whoever puts this into HTML escapes it there.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.Strict,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false) },
    };
}
