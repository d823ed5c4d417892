using System.Globalization;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>By what heads are ranked.</summary>
public enum Ranking
{
    /// <summary>By |effect|.</summary>
    Effect,

    /// <summary>By what of it is sure: the end nearer 0 of the interval for all heads together (of an adaptive sweep, of its own), and after those by |effect|.</summary>
    Sure,
}

/// <summary>
/// The heads (or layers) by |effect|, largest first, each with its 95 % interval, what is sure of it and a bar; ~ marks estimates, and grey what may as well be 0 where all
/// heads are taken together. Of an adaptive sweep each with what was decided of it, by how many pairs, and grey what is not above the threshold. It fits 80 columns.
/// </summary>
public static class RankedTable
{
    private const int BarWidth = 10;

    private static readonly Style Unsure = new(Color.Grey);

    private const string Signed = "+0.000;-0.000;0.000";

    // A last character that is filled by so many eighths.
    private const string Eighths = " ▏▎▍▌▋▊▉";

    /// <summary>Makes the table.</summary>
    /// <param name="heads">The heads, in any order.</param>
    /// <param name="top">How many of them to show.</param>
    /// <param name="threshold">The threshold of which some are surely beyond.</param>
    /// <param name="ranking">Which come first.</param>
    public static IRenderable Of(IEnumerable<HeadResult> heads, int top, double threshold, Ranking ranking = Ranking.Effect)
    {
        var ranked = heads
            .OrderByDescending(head => ranking == Ranking.Sure ? (head.AnytimeInterval ?? head.JointInterval)?.LeastSize ?? 0 : 0)
            .ThenByDescending(head => Math.Abs(head.PatchingEffect))
            .Take(top)
            .ToList();
        var largest = ranked.Select(head => Math.Abs(head.PatchingEffect)).DefaultIfEmpty().Max();
        var together = ranked.Exists(head => head.JointInterval is not null);
        var adaptive = ranked.Exists(head => head.Decision is not null);
        var hasPositions = ranked.Exists(head => head.Position is not null || head.Role is not null);

        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn("#").RightAligned().NoWrap());
        table.AddColumn(new TableColumn(ranked.Exists(head => head.Head is null) ? "layer" : "head").NoWrap());
        if (hasPositions)
        {
            table.AddColumn(new TableColumn(ranked.Exists(head => head.Role is not null) ? "role" : "position").RightAligned().NoWrap());
        }

        table.AddColumn(new TableColumn("effect").RightAligned().NoWrap());
        if (!hasPositions && !adaptive)
        {
            // A position needs the room, and the interval says more.
            table.AddColumn(new TableColumn("± s.e.").RightAligned().NoWrap());
        }

        table.AddColumn(new TableColumn(adaptive ? "interval" : "95 % interval").RightAligned().NoWrap());
        if (adaptive)
        {
            table.AddColumn(new TableColumn("pairs").RightAligned().NoWrap());
            table.AddColumn(new TableColumn("decided").NoWrap());
        }

        if (together)
        {
            table.AddColumn(new TableColumn("sure").NoWrap());
        }

        if (!adaptive)
        {
            table.AddColumn(new TableColumn("patched").RightAligned().NoWrap());
        }

        table.AddColumn(new TableColumn("").Width(BarWidth).NoWrap());
        foreach (var (index, head) in ranked.Index())
        {
            var unsure = head.ExcludesZero == false || head.Decision is Decision.Below or Decision.Undecided;
            var style = unsure ? Unsure : Style.Plain;
            string[] cells =
            [
                Number(index + 1, "0"),
                head.Name,
                .. hasPositions ? [Where(head)] : Array.Empty<string>(),
                (head.Estimated ? "~" : "") + Number(head.PatchingEffect, Signed),
                .. hasPositions || adaptive ? [] : (string[])[head.StandardError is { } error ? Number(error, "0.000") : "-"],
                (head.AnytimeInterval ?? head.ConfidenceInterval) is { } interval ? $"[{Number(interval.Low, Signed)}, {Number(interval.High, Signed)}]" : "-",
                .. adaptive ? [Number(head.PairsRun ?? 0, "0"), Decided(head, threshold)] : Array.Empty<string>(),
                .. together ? [Sure(head, threshold)] : Array.Empty<string>(),
                .. adaptive ? [] : (string[])[Number(head.PatchedMetric, Math.Abs(head.PatchedMetric) is > 0 and < 0.0005 ? "0.0e+00" : "0.000")],
            ];
            var bar = new Text(Bar(head.PatchingEffect, largest), unsure ? Unsure : new Style(head.PatchingEffect < 0 ? Color.Blue : Color.Red));
            table.AddRow([.. cells.Select(cell => new Text(cell, style)), bar]);
        }

        return ranked.Exists(head => head.Estimated) ? new Rows(table, new Text("~ estimated from one gradient, not run")) : table;
    }

    // Beyond the threshold for sure, or at least not 0, where all heads are taken together.
    private static string Sure(HeadResult head, double threshold) =>
        head.JointInterval?.LeastSize > threshold ? $">{Number(threshold, "0.###")}" : head.ExcludesZero == true ? "≠0" : "";

    private static string Decided(HeadResult head, double threshold) => head.Decision switch
    {
        Decision.Above => $">{Number(threshold, "0.###")}",
        Decision.Below => "below",
        _ => "?",
    };

    // Over few pairs says so: such a place is shown only where no other has more.
    private static string Where(HeadResult head) =>
        (head.Role ?? (head.Position is { } position ? Number(position, "0") : "")) + (head.Pairs is > 0 and < Cells.FewPairs ? $" (n={Number(head.Pairs, "0")})" : "");

    private static string Bar(double effect, double largest)
    {
        var eighths = largest > 0 ? (int)Math.Round(Math.Abs(effect) / largest * BarWidth * 8) : 0;
        var last = eighths % 8;
        return new string('█', eighths / 8) + (last > 0 ? Eighths[last] : "");
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
