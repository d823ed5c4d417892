using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Patching.Patterns;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports;

/// <summary>
/// report.html: a result as one page to read and explore. The file holds all it needs and asks for nothing else; a content security policy
/// in it says so to the browser, and allows no script but the page's own.
/// </summary>
/// <remarks>
/// Token texts, names and warnings are hostile input. Here they are encoded as HTML, or as JSON without the characters that HTML knows;
/// the page's script puts them into the page as text only.
/// </remarks>
public static class ReportPage
{
    /// <summary>The page shows at most so many pairs one by one.</summary>
    public const int MostPairs = 200;

    /// <summary>Sets of nodes are shown up to so many.</summary>
    private const int MostSets = 200;

    /// <summary>The strongest senders of paths, each at a place, are shown up to so many.</summary>
    private const int MostSenders = 2000;

    /// <summary>The strongest edges are shown up to so many.</summary>
    private const int MostEdges = 20;

    /// <summary>
    /// The page holds at most so many numbers of pairs and positions (about 20 bytes each), so that the sweep of a large model still opens.
    /// </summary>
    public const int MostNumbers = 500_000;

    /// <summary>
    /// The grid has at most so many cells. Where layers by positions are more, it shows the strongest position of each layer instead, and the
    /// page has the choice of one position.
    /// </summary>
    public const int MostCells = 20_000;

    private const int LargestWithValues = 16;

    /// <summary>The page's script: these files of <c>Assets/Report</c>, one after the other.</summary>
    private static readonly string[] Scripts =
        ["values.js", "view.js", "heatmap.js", "grids.js", "prompts.js", "patterns.js", "ranking.js", "screen.js", "sets.js", "pairs.js", "page.js"];

    /// <summary>How data is written into a page.</summary>
    internal static readonly JsonSerializerOptions DataJson = new(ResultJson.Compact)
    {
        // Unlike the one for files, this encoder escapes <, >, & and quotes.
        Encoder = JavaScriptEncoder.Create(UnicodeRanges.All),
    };

    /// <summary>Writes the page.</summary>
    /// <param name="result">The result.</param>
    /// <param name="to">Where to.</param>
    /// <param name="patterns">Attention patterns of some heads on some of its pairs.</param>
    public static void Write(SweepResult result, Stream to, IReadOnlyList<PairPatterns>? patterns = null)
    {
        var title = result.Title();
        var table = HeatmapTable.Of(result);
        if (table.Effects.Length * table.Width > MostCells)
        {
            table = HeatmapTable.WithoutPositions(result);
        }

        var (layers, columns) = (table.Effects.Length, table.Width);
        var parts = new Dictionary<string, string>
        {
            ["title"] = HtmlEncoder.Default.Encode($"{title}: {result.Model.Name}, {result.Dataset.Name}"),
            ["heading"] = HtmlEncoder.Default.Encode(title),
            ["style"] = PageStyle.Css + EmbeddedAsset.Text("report.css"),
            ["unit"] = table.Unit,
            ["unit-title"] = char.ToUpperInvariant(table.Unit[0]) + table.Unit[1..],
            ["where"] = table.Columns switch { HeatmapColumns.Positions => " at each position", HeatmapColumns.Roles => " at each role", _ => "" },
            ["place"] = result.HeatmapByPosition is null || result.Heads.Any(head => head.Role is not null) ? "role" : "position",
            ["axis"] = table.Axis ?? "",
            ["kind"] = table.Columns.NameOf(),
            ["columns"] = Number(columns),
            ["rows"] = Number(layers),
            ["width"] = columns <= 8 ? "narrow" : columns <= LargestWithValues ? "medium" : "wide",
            ["cell-size"] = Number(CellSize(layers, columns)),
            ["row-count"] = Number(layers + 1),
            ["column-count"] = Number(columns + 1),
            ["values"] = Math.Max(layers, columns) <= LargestWithValues || (columns == 1 && CellSize(layers, columns) >= 18) ? "true" : "false",
            ["cells"] = Cells(table, result.Heads),
            ["data"] = Data(result, table, patterns ?? []),
        };
        SelfContainedPage.Fill("report.html", parts, Scripts, to);
    }

    // Cells of one column are as wide as the style sheet says, and need not be as high.
    internal static int CellSize(int layers, int columns) => Math.Max(layers, columns) switch
    {
        <= LargestWithValues when columns == 1 => 32,
        <= 12 => 54,
        <= LargestWithValues => 44,
        <= 32 => 24,
        <= 64 => 18,
        _ => 12,
    };

    // The cells are in the file itself, with the mean effects; the script paints them.
    private static string Cells(HeatmapTable table, IReadOnlyList<HeadResult> heads)
    {
        var heatmap = table.Effects;
        var size = CellSize(heatmap.Length, table.Width);
        // Labels that would touch each other are left out: a number is about 16 pixels high, and 9 a digit wide.
        var step = (16 + size - 1) / size;
        var columnStep = (Math.Max(16, 9 * Number(table.Width - 1).Length) + size - 1) / size;
        var html = new StringBuilder();
        html.Append("<div role=\"row\" class=\"row columns\"><div role=\"columnheader\" class=\"label\" aria-label=\"Layer\"></div>");
        for (var column = 0; column < table.Width; column++)
        {
            // A number that is left out keeps its line, so that what the script puts above it stands as high as elsewhere.
            var text = column % columnStep == 0 ? HtmlEncoder.Default.Encode(table.LabelOf(column)) : "&#160;";
            var label = HtmlEncoder.Default.Encode(table.Axis is null ? "Effect" : $"{table.Axis} {table.LabelOf(column)}");
            html.Append(CultureInfo.InvariantCulture, $"<div role=\"columnheader\" class=\"label\" aria-label=\"{label}\">{text}</div>");
        }

        html.AppendLine("</div>");
        var byLayer = heads.ToLookup(head => head.Layer);
        for (var layer = 0; layer < heatmap.Length; layer++)
        {
            var text = layer % step == 0 ? Number(layer) : "";
            html.Append(CultureInfo.InvariantCulture, $"<div role=\"row\" class=\"row\"><div role=\"rowheader\" class=\"label\" aria-label=\"Layer {layer}\">{text}</div>");
            var names = byLayer[layer].Select(head => head.Name).ToList();
            for (var column = 0; column < heatmap[layer].Length; column++)
            {
                var effect = heatmap[layer][column].ToString("R", CultureInfo.InvariantCulture);
                var name = table.Columns switch
                {
                    HeatmapColumns.Positions => $"{names[0]}, position {Number(column)}",
                    HeatmapColumns.Roles => $"{names[0]}, {table.LabelOf(column)}",
                    _ => names[column],
                };
                html.Append(
                    CultureInfo.InvariantCulture,
                    $"<div role=\"gridcell\" class=\"cell\" tabindex=\"-1\" data-layer=\"{layer}\" data-column=\"{column}\" data-effect=\"{effect}\" aria-label=\"{HtmlEncoder.Default.Encode(name)}, effect {effect}\"></div>");
            }

            html.AppendLine("</div>");
        }

        return html.ToString();
    }

    private static string Data(SweepResult result, HeatmapTable table, IReadOnlyList<PairPatterns> patterns)
    {
        var room = MostNumbers;
        var notes = new List<string>();

        var byPosition = result.HeatmapByPosition;
        if (byPosition is not null)
        {
            var count = Count(byPosition);
            if (count > room)
            {
                byPosition = null;
                notes.Add("The effects by position are too many for this page; results.json has them.");
            }
            else
            {
                room -= count;
            }
        }

        room -= Count(result.HeatmapByRole);
        var pairs = new List<PairResult>();
        var withNumbers = 0;
        foreach (var pair in result.Pairs.Take(MostPairs))
        {
            room -= CountNumbers(pair);
            if (room >= 0)
            {
                withNumbers++;
                pairs.Add(pair);
            }
            else
            {
                pairs.Add(pair with
                {
                    Runs = null,
                    PatchedMetric = null,
                    PatchingEffect = null,
                    PatchedMetricByPosition = null,
                    PatchingEffectByPosition = null,
                    PatchedMetricByRole = null,
                    PatchingEffectByRole = null,
                });
            }
        }

        string all = result.Dataset.Pairs > SweepResult.MostPairs ? result.PairsFile ?? "effects.parquet" : "results.json";
        if (pairs.Count < result.Dataset.Pairs)
        {
            notes.Add($"The first {pairs.Count} of {result.Dataset.Pairs} pairs are shown; {all} has all.");
        }

        if (withNumbers < pairs.Count)
        {
            notes.Add($"The effects of single pairs are in this page for the first {withNumbers} pairs; {all} has all.");
        }

        var shown = result with { Pairs = pairs, HeatmapByPosition = byPosition, Senders = null, PatchSets = null, Edges = null, Circuit = null };
        var data = new
        {
            result = shown,
            facts = SweepFacts.Of(result),
            change = SweepFacts.Change(result),
            method = SweepFacts.Method(result),
            notes,
            limit = DivergingColours.LimitOf([.. table.Effects, .. result.Heatmap]),
            directLimit = result.DirectLogitAttribution is { Heads: { } direct, Mlps: { } mlps } ? DivergingColours.LimitOf([.. direct, mlps]) : 1,
            reach = Enumerable.Range(0, result.Model.Layers).Select(result.ReachOf),
            changesBeforeDifference = BlankCells.ChangesBeforeDifference(result),
            senders = StrongestSenders(result.Senders ?? []).Select(sender => sender with { PatchedMetric = null }),
            senderCount = result.Senders?.Count ?? 0,
            sets = (result.PatchSets ?? []).Take(MostSets).Select(set => set with { PatchedMetric = null }),
            setCount = result.PatchSets?.Count ?? 0,
            circuit = result.Circuit?.Verdict,
            edges = (result.Edges?.Strongest() ?? []).Take(MostEdges).Select(edge => new { name = edge.Edge.ToString(), effect = edge.PatchingEffect, interval = edge.ConfidenceInterval, estimate = edge.EstimatedEffect, pairs = edge.Pairs, decision = edge.Decision?.NameOf() }),
            edgeWords = result.Edges?.Words(),
            edgeCount = result.Edges?.Edges.Count ?? 0,
            patterns = patterns.Select(one => Patterns(one, result)),
            files = new[] { ResultJson.File.Name }.Concat(ReportFiles.All.Select(file => file.Name)).Select(name => new { name, route = RouteOf(name) }),
        };
        return JsonSerializer.Serialize(data, DataJson);
    }

    /// <summary>The senders that a page shows, in their order.</summary>
    private static IEnumerable<PatchedSet> StrongestSenders(IReadOnlyList<PatchedSet> senders)
    {
        HashSet<PatchedSet> strongest = [.. senders.OrderByDescending(sender => Math.Abs(sender.PatchingEffect)).Take(MostSenders)];
        return senders.Where(strongest.Contains);
    }

    /// <summary>Under which name a server has a file beside the page.</summary>
    private static string RouteOf(string file) => file switch { "results.json" => "results", "report.html" => "report", _ => file };

    // Shares in thousandths, and of each row those that are not later: what a picture shows of them.
    private static object Patterns(PairPatterns patterns, SweepResult result)
    {
        PairResult? pair = result.Pairs.FirstOrDefault(pair => pair.Index == patterns.Pair.Index);
        return new
        {
            pair = patterns.Pair.Index,
            heads = patterns.Heads.Select(pattern => new
            {
                name = pattern.Name(),
                words = PatternWords.Of(pattern, pair?.CleanTokenTexts ?? Ids(patterns.Pair.Clean), pair?.CorruptedTokenTexts ?? Ids(patterns.Pair.Corrupted)),
                clean = Thousandths(pattern.Clean),
                corrupted = Thousandths(pattern.Corrupted),
            }),
        };

        static IReadOnlyList<string> Ids(IReadOnlyList<int> ids) => [.. ids.Select(Number)];

        static int[][] Thousandths(double[][] rows) => [.. rows.Select((row, query) => row.Take(query + 1).Select(share => (int)Math.Round(1000 * share)).ToArray())];
    }

    private static int CountNumbers(PairResult pair) =>
        Count(pair.PatchedMetric) + Count(pair.PatchingEffect) + Count(pair.PatchedMetricByPosition) + Count(pair.PatchingEffectByPosition)
        + Count(pair.PatchedMetricByRole) + Count(pair.PatchingEffectByRole);

    private static int Count(double[][]? table) => table?.Sum(row => row.Length) ?? 0;

    private static int Count(double[][][]? tables) => tables?.Sum(Count) ?? 0;

    private static int Count(IReadOnlyDictionary<string, double[][]>? tables) => tables?.Values.Sum(Count) ?? 0;

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
