using System.Globalization;
using System.Text;
using System.Text.Json;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;

namespace HeadPatching.Reports.Comparing;

/// <summary>A file that is made of a comparison alone.</summary>
/// <param name="Name">Its name, such as <c>comparison.csv</c>.</param>
/// <param name="ContentType">Its media type, as HTTP says it.</param>
/// <param name="Write">Writes it to a stream.</param>
public sealed record ComparisonFile(string Name, string ContentType, Action<SweepComparison, Stream> Write);

/// <summary>The files of a comparison.</summary>
public static class ComparisonFiles
{
    private const string CsvHeader =
        "layer,head,name,position,role,effectA,effectB,difference,standardError,confidenceLow,confidenceHigh,jointLow,jointHigh,moved,estimated";

    /// <summary>Everything.</summary>
    public static ComparisonFile Json { get; } = new("comparison.json", "application/json", (comparison, to) => JsonSerializer.Serialize(to, comparison, ResultJson.Indented));

    /// <summary>Every head, one line each.</summary>
    public static ComparisonFile Csv { get; } = new("comparison.csv", "text/csv; charset=utf-8", WriteCsv);

    /// <summary>The differences as a heatmap.</summary>
    public static ComparisonFile Png { get; } = new("comparison.png", "image/png", HeatmapPicture.WritePng);

    /// <summary>The differences as a heatmap that scales.</summary>
    public static ComparisonFile Svg { get; } = new("comparison.svg", "image/svg+xml", HeatmapPicture.WriteSvg);

    /// <summary>The self-contained page.</summary>
    public static ComparisonFile Page { get; } = new("comparison.html", "text/html; charset=utf-8", ComparisonPage.Write);

    /// <summary>All of them, in the order in which they are written and listed.</summary>
    public static IReadOnlyList<ComparisonFile> All { get; } = [Json, Csv, Png, Svg, Page];

    private static void WriteCsv(SweepComparison comparison, Stream to)
    {
        using var writer = new StreamWriter(to, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true) { NewLine = "\n" };
        writer.WriteLine(CsvHeader);
        foreach (HeadDifference head in comparison.Heads)
        {
            writer.WriteLine(string.Join(
                ',',
                Number(head.Layer),
                Number(head.Head),
                head.Name,
                Number(head.Position),
                head.Role,
                Number(head.EffectA),
                Number(head.EffectB),
                Number(head.Difference),
                Number(head.StandardError),
                Number(head.ConfidenceInterval?.Low),
                Number(head.ConfidenceInterval?.High),
                Number(head.JointInterval?.Low),
                Number(head.JointInterval?.High),
                head.Moved ? "true" : "false",
                head.Estimated ? "true" : "false"));
        }
    }

    private static string Number(IFormattable? value) => value?.ToString(value is double ? "R" : null, CultureInfo.InvariantCulture) ?? "";
}
