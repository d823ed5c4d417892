using System.Globalization;
using System.Text;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Reports;

/// <summary>A result as tables for other programs: heads.csv (one line a head) and heatmap.csv (one a layer).</summary>
public static class ResultTables
{
    private static readonly string CsvHeader = string.Join(
        ',',
        [
            "layer,head,name,hookPoint,patchingEffect,standardError,cleanMetric,corruptedMetric,patchedMetric,confidenceLow,confidenceHigh,estimatedEffect,estimated,position,pairs,role,directLogitAttribution",
            "jointLow,jointHigh,excludesZero,excludesThreshold",
            .. JointIntervals.AllTops.Select(top => $"inTop{Number(top)}"),
            "decision,anytimeLow,anytimeHigh,pairsRun",
        ]);

    /// <summary>
    /// Writes heads.csv: the heads in the result's order, numbers with a point and as many digits as bring the same number back; what a
    /// head does not have (a layer's head, a confidence interval, an estimate) is empty.
    /// </summary>
    public static async Task WriteHeadsCsvAsync(IEnumerable<HeadResult> heads, Stream to, CancellationToken cancellationToken = default)
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
        Word(head.Estimated),
        head.Position is { } position ? Number(position) : "",
        Number(head.Pairs),
        head.Role ?? "",
        NumberIfAny(head.DirectLogitAttribution),
        NumberIfAny(head.JointInterval?.Low),
        NumberIfAny(head.JointInterval?.High),
        Word(head.ExcludesZero),
        Word(head.ExcludesThreshold),
        string.Join(',', JointIntervals.AllTops.Select((_, top) => NumberIfAny(head.InTop?.Count > top ? head.InTop[top] : null))),
        head.Decision?.NameOf() ?? "",
        NumberIfAny(head.AnytimeInterval?.Low),
        NumberIfAny(head.AnytimeInterval?.High),
        head.PairsRun is { } run ? Number(run) : "");

    private static string Word(bool? whether) => whether switch { true => "true", false => "false", null => "" };

    private static string NumberIfAny(double? value) => value is { } number ? Number(number) : "";

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
