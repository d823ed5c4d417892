using System.Globalization;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>The heads (or layers) by |effect|, largest first, each with its 95 % interval and a bar; ~ marks estimates. It fits 80 columns.</summary>
public static class RankedTable
{
    private const int BarWidth = 10;

    private const string Signed = "+0.000;-0.000;0.000";

    // A last character that is filled by so many eighths.
    private const string Eighths = " ▏▎▍▌▋▊▉";

    /// <summary>Makes the table.</summary>
    /// <param name="heads">The heads, in any order.</param>
    /// <param name="top">How many of them to show.</param>
    public static IRenderable Of(IEnumerable<HeadResult> heads, int top)
    {
        var ranked = heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(top).ToList();
        var largest = ranked.Count > 0 ? Math.Abs(ranked[0].PatchingEffect) : 0;
        var hasPositions = ranked.Exists(head => head.Position is not null || head.Role is not null);

        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn("#").RightAligned().NoWrap());
        table.AddColumn(new TableColumn(ranked.Exists(head => head.Head is null) ? "layer" : "head").NoWrap());
        if (hasPositions)
        {
            table.AddColumn(new TableColumn(ranked.Exists(head => head.Role is not null) ? "role" : "position").RightAligned().NoWrap());
        }

        table.AddColumn(new TableColumn("effect").RightAligned().NoWrap());
        if (!hasPositions)
        {
            // A position needs the room, and the interval says more.
            table.AddColumn(new TableColumn("± s.e.").RightAligned().NoWrap());
        }

        table.AddColumn(new TableColumn("95 % interval").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("patched").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("").Width(BarWidth).NoWrap());
        foreach (var (index, head) in ranked.Index())
        {
            var cells = new List<IRenderable>
            {
                new Text(Number(index + 1, "0")),
                new Text(head.Name),
                new Text((head.Estimated ? "~" : "") + Number(head.PatchingEffect, Signed)),
                new Text(head.ConfidenceInterval is { } interval ? $"[{Number(interval.Low, Signed)}, {Number(interval.High, Signed)}]" : "-"),
                new Text(Number(head.PatchedMetric, Math.Abs(head.PatchedMetric) is > 0 and < 0.0005 ? "0.0e+00" : "0.000")),
                new Text(Bar(head.PatchingEffect, largest), new Style(head.PatchingEffect < 0 ? Color.Blue : Color.Red)),
            };
            if (hasPositions)
            {
                cells.Insert(2, new Text(Where(head)));
            }
            else
            {
                cells.Insert(3, new Text(head.StandardError is { } error ? Number(error, "0.000") : "-"));
            }

            table.AddRow(cells);
        }

        return ranked.Exists(head => head.Estimated) ? new Rows(table, new Text("~ estimated from one gradient, not run")) : table;
    }

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
