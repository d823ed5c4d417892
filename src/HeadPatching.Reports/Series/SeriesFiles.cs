using System.Text.Json;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Series;

namespace HeadPatching.Reports.Series;

/// <summary>A file that is made of a series alone.</summary>
/// <param name="Name">Its name, such as <c>series.json</c>.</param>
/// <param name="ContentType">Its media type, as HTTP says it.</param>
/// <param name="Write">Writes it to a stream.</param>
public sealed record SeriesFile(string Name, string ContentType, Action<SweepSeries, Stream> Write);

/// <summary>The files of a series: what programs read, and a self-contained page with a slider over the models.</summary>
public static class SeriesFiles
{
    /// <summary>Everything.</summary>
    public static SeriesFile Json { get; } = new("series.json", "application/json", (series, to) => JsonSerializer.Serialize(to, series, ResultJson.Indented));

    /// <summary>The page. It is as careful with what it shows as <see cref="ReportPage"/>.</summary>
    public static SeriesFile Page { get; } = new("series.html", "text/html; charset=utf-8", WritePage);

    /// <summary>All of them, in the order in which they are written.</summary>
    public static IReadOnlyList<SeriesFile> All { get; } = [Json, Page];

    private static void WritePage(SweepSeries series, Stream to)
    {
        bool ofLayers = series.Patch.IsOfLayer(), grouped = series.Heads.Any(head => head.Name.Contains("KV", StringComparison.Ordinal));
        string unit = ofLayers ? "layer" : grouped ? "key/value head" : "head";
        int layers = series.Heads.Max(head => head.Layer) + 1, columns = series.Heads.Count / layers;
        var data = new
        {
            series,
            unit,
            kind = ofLayers ? "layer" : "heads",
            axis = ofLayers ? "" : grouped ? "Key/value head" : "Head",
            layers,
            labels = Enumerable.Range(0, columns),
            limit = DivergingColours.LimitOf([.. series.Heads.Select(head => head.Effects.ToArray())]),
            cell = ReportPage.CellSize(layers, columns),
            important = series.EverImportant.Select(head => head.Name),
        };
        SelfContainedPage.Write(
            "series",
            $"{series.Title} over {series.Models.Count} models",
            new Dictionary<string, string> { ["heading"] = series.Title, ["unit"] = unit, ["count"] = $"{series.Models.Count}", ["last"] = $"{series.Models.Count - 1}" },
            JsonSerializer.Serialize(data, ReportPage.DataJson),
            to);
    }
}
