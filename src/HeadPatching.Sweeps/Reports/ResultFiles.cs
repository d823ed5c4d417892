using System.Globalization;
using System.Text;
using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;

namespace HeadPatching.Sweeps.Reports;

/// <summary>The files of numbers that a sweep leaves: results.json (everything), heads.csv (one line a head) and heatmap.csv (one a layer).</summary>
public static class ResultFiles
{
    /// <summary>The only version of results.json's schema so far.</summary>
    private const int KnownSchemaVersion = 1;

    private const string CsvHeader =
        "layer,head,name,hookPoint,patchingEffect,standardError,cleanMetric,corruptedMetric,patchedMetric,confidenceLow,confidenceHigh,estimatedEffect,estimated,position,pairs,role";

    /// <summary>Writes results.json.</summary>
    public static Task WriteJsonAsync(SweepResult result, Stream to, CancellationToken cancellationToken = default) =>
        JsonSerializer.SerializeAsync(to, result, ResultJson.Indented, cancellationToken);

    /// <summary>Reads results.json back, to the last digit.</summary>
    /// <param name="from">The file.</param>
    /// <param name="where">What to call the file in an error.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <exception cref="InvalidInputException">It is not a result, or of a later schema than this version knows.</exception>
    public static async Task<SweepResult> ReadJsonAsync(
        Stream from, string where = "results.json", CancellationToken cancellationToken = default)
    {
        SweepResult? result;
        try
        {
            result = await JsonSerializer.DeserializeAsync<SweepResult>(from, ResultJson.Indented, cancellationToken);
        }
        catch (JsonException exception)
        {
            throw new InvalidInputException(
                FaultKinds.Malformed, where, $"This is not a sweep's result: {exception.Message}");
        }

        if (result is null || result.SchemaVersion != KnownSchemaVersion)
        {
            throw new InvalidInputException(
                FaultKinds.Malformed,
                where,
                result is null
                    ? "This is not a sweep's result: it holds null."
                    : $"Its schemaVersion is {result.SchemaVersion}; this version of HeadPatching reads {KnownSchemaVersion}.");
        }

        return result;
    }

    /// <summary>
    /// Writes heads.csv: the heads in the result's order, numbers with a point and as many digits as bring the same number back; what a
    /// head does not have (a layer's head, a confidence interval, an estimate) is empty.
    /// </summary>
    public static async Task WriteCsvAsync(IEnumerable<HeadResult> heads, Stream to, CancellationToken cancellationToken = default)
    {
        await using var writer = new StreamWriter(to, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true)
        {
            NewLine = "\n",
        };
        await writer.WriteLineAsync(CsvHeader.AsMemory(), cancellationToken);
        foreach (var head in heads)
        {
            await writer.WriteLineAsync(CsvLine(head).AsMemory(), cancellationToken);
        }
    }

    /// <summary>
    /// Writes heatmap.csv: one line a layer, one column a head (or key/value head, or position: see <see cref="HeatmapTable"/>), the effects
    /// with as many digits as bring the same number back.
    /// </summary>
    public static async Task WriteHeatmapCsvAsync(SweepResult result, Stream to, CancellationToken cancellationToken = default)
    {
        var table = HeatmapTable.Of(result);
        await using var writer = new StreamWriter(to, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true)
        {
            NewLine = "\n",
        };
        await writer.WriteLineAsync($"layer,{string.Join(',', Enumerable.Range(0, table.Width).Select(table.NameOf))}".AsMemory(), cancellationToken);
        foreach (var (layer, effects) in table.Effects.Index())
        {
            await writer.WriteLineAsync($"L{Number(layer)},{string.Join(',', effects.Select(Number))}".AsMemory(), cancellationToken);
        }
    }

    // Names, roles and hook points are made of letters, digits, points, underscores, + and -, so that nothing here needs quotes.
    private static string CsvLine(HeadResult head) => string.Join(
        ',',
        Number(head.Layer),
        head.Head is { } of ? Number(of) : "",
        head.Name,
        head.HookPoint,
        Number(head.PatchingEffect),
        NumberIfAny(head.StandardError),
        Number(head.CleanMetric),
        Number(head.CorruptedMetric),
        Number(head.PatchedMetric),
        NumberIfAny(head.ConfidenceInterval?.Low),
        NumberIfAny(head.ConfidenceInterval?.High),
        NumberIfAny(head.EstimatedEffect),
        head.Estimated ? "true" : "false",
        head.Position is { } position ? Number(position) : "",
        Number(head.Pairs),
        head.Role ?? "");

    private static string NumberIfAny(double? value) => value is { } number ? Number(number) : "";

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
