namespace HeadPatching.Http.Answers;

/// <summary>Where a sweep's parts are. All but <c>self</c>, <c>request</c> and <c>events</c> answer 409 until the sweep is completed.</summary>
/// <param name="Self">Its status; DELETE cancels or deletes it.</param>
/// <param name="Results">results.json.</param>
/// <param name="Report">The self-contained page.</param>
/// <param name="HeatmapPng">The heatmap as a picture.</param>
/// <param name="HeatmapSvg">The heatmap as a picture that scales.</param>
/// <param name="HeatmapCsv">The heatmap as a table, one line a layer.</param>
/// <param name="HeadsCsv">Every head's numbers as a table, one line a head.</param>
/// <param name="Effects">Every patched run of every pair as a Parquet table.</param>
/// <param name="Request">What was asked for, to be posted again.</param>
/// <param name="Events">Its status each time that it changes, as server-sent events.</param>
public sealed record SweepLinks(
    string Self, string Results, string Report, string HeatmapPng, string HeatmapSvg, string HeatmapCsv, string HeadsCsv, string Effects, string Request, string Events)
{
    /// <summary>The links of a sweep.</summary>
    /// <param name="sweepId">Its id.</param>
    /// <param name="pathBase">What comes before <c>/api</c>; mostly nothing.</param>
    public static SweepLinks Of(string sweepId, string pathBase)
    {
        string self = $"{pathBase}/api/sweeps/{sweepId}";
        return new SweepLinks(
            self, $"{self}/results", $"{self}/report", $"{self}/heatmap.png", $"{self}/heatmap.svg", $"{self}/heatmap.csv", $"{self}/heads.csv", $"{self}/effects.parquet", $"{self}/request", $"{self}/events");
    }
}
