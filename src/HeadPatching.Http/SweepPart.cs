using HeadPatching.Core.Results;
using HeadPatching.Reports;

namespace HeadPatching.Http;

/// <summary>A part of a completed sweep.</summary>
/// <param name="Operation">Its operation's id in the OpenAPI document.</param>
/// <param name="Route">The last segment of its path.</param>
/// <param name="File">Its file.</param>
/// <param name="Summary">What it is, for the OpenAPI document.</param>
/// <param name="ContentSecurityPolicy">What a browser may do with it; null where there is nothing to forbid.</param>
public sealed record SweepPart(string Operation, string Route, ResultFile File, string Summary, string? ContentSecurityPolicy = null)
{
    /// <summary>results.json.</summary>
    public static SweepPart Results { get; } = new("getResults", "results", ResultJson.File, "Everything that a completed sweep found");

    /// <summary>The heatmap as PNG.</summary>
    public static SweepPart HeatmapPng { get; } = new("getHeatmapPng", "heatmap.png", ReportFiles.HeatmapPng, "The heatmap as a picture");

    /// <summary>The heatmap as SVG; the names in it come from the request, so no script may run.</summary>
    public static SweepPart HeatmapSvg { get; } = new(
        "getHeatmapSvg",
        "heatmap.svg",
        ReportFiles.HeatmapSvg,
        "The heatmap as a picture that scales",
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:");

    /// <summary>The heatmap as CSV.</summary>
    public static SweepPart HeatmapCsv { get; } = new("getHeatmapCsv", "heatmap.csv", ReportFiles.HeatmapCsv, "The heatmap as a table, one line a layer");

    /// <summary>Every head as CSV.</summary>
    public static SweepPart HeadsCsv { get; } = new("getHeadsCsv", "heads.csv", ReportFiles.HeadsCsv, "Every head's numbers as a table, one line a head");

    /// <summary>Every pair's numbers.</summary>
    public static SweepPart Effects { get; } = new("getEffects", "effects.parquet", ReportFiles.Effects, "Every patched run of every pair as a Parquet table, one row a run");

    /// <summary>The page; a policy of its own is in it.</summary>
    public static SweepPart Report { get; } = new("getReport", "report", ReportFiles.Page, "The result as one self-contained page");

    /// <summary>All parts.</summary>
    public static IReadOnlyList<SweepPart> All { get; } = [Results, HeatmapPng, HeatmapSvg, HeatmapCsv, HeadsCsv, Effects, Report];
}
