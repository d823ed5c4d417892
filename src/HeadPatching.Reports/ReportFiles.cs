using HeadPatching.Core.Results;

namespace HeadPatching.Reports;

/// <summary>The files for people and their programs that a sweep leaves beside results.json. A new one is added here, and every host writes it.</summary>
public static class ReportFiles
{
    private const string Csv = "text/csv; charset=utf-8";

    /// <summary>Every head's numbers, one line a head.</summary>
    public static ResultFile HeadsCsv { get; } = new("heads.csv", Csv, (sweep, to, cancel) => ResultTables.WriteHeadsCsvAsync(sweep.Result.Heads, to, cancel));

    /// <summary>The heatmap, one line a layer.</summary>
    public static ResultFile HeatmapCsv { get; } = new("heatmap.csv", Csv, (sweep, to, cancel) => ResultTables.WriteHeatmapCsvAsync(sweep.Result, to, cancel));

    /// <summary>The heatmap as a picture.</summary>
    public static ResultFile HeatmapPng { get; } = new("heatmap.png", "image/png", Synchronous(HeatmapPicture.WritePng));

    /// <summary>The heatmap as a picture that scales.</summary>
    public static ResultFile HeatmapSvg { get; } = new("heatmap.svg", "image/svg+xml", Synchronous(HeatmapPicture.WriteSvg));

    /// <summary>The self-contained page.</summary>
    public static ResultFile Page { get; } = new("report.html", "text/html; charset=utf-8", Synchronous(ReportPage.Write));

    /// <summary>Every pair's numbers, one line for each patched run.</summary>
    public static ResultFile Effects { get; } = new(EffectsTable.Name, "application/vnd.apache.parquet", EffectsTable.WriteAsync) { HoldsPairs = true };

    /// <summary>All of them, in the order in which they are written and listed.</summary>
    public static IReadOnlyList<ResultFile> All { get; } = [HeadsCsv, HeatmapCsv, HeatmapPng, HeatmapSvg, Page, Effects];

    private static Func<FinishedSweep, Stream, CancellationToken, Task> Synchronous(Action<SweepResult, Stream> write) => (sweep, to, _) =>
    {
        write(sweep.Result, to);
        return Task.CompletedTask;
    };
}
