using System.Globalization;
using HeadPatching.Core.Results.Comparing;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>What moved between two sweeps, largest |difference| first; where nothing did, the largest differences as they are. It fits 80 columns.</summary>
public static class DifferencesTable
{
    private const string Signed = "+0.000;-0.000;0.000";

    /// <summary>Makes the table.</summary>
    /// <param name="comparison">The comparison.</param>
    /// <param name="top">How many rows to show.</param>
    public static IRenderable Of(SweepComparison comparison, int top)
    {
        bool moved = comparison.Moved.Count > 0;
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn("#").RightAligned().NoWrap());
        table.AddColumn(new TableColumn(comparison.Unit).NoWrap());
        table.AddColumn(new TableColumn("A").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("B").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("difference").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("95 % (all together)").RightAligned().NoWrap());
        foreach (var (index, head) in (moved ? comparison.Moved : comparison.Ranked()).Take(top).Index())
        {
            table.AddRow(
                new Text((index + 1).ToString(CultureInfo.InvariantCulture)),
                new Text(head.Label),
                new Text(Number(head.EffectA, head.Estimated)),
                new Text(Number(head.EffectB, head.Estimated)),
                new Text(Number(head.Difference, estimated: false), !head.Moved ? Style.Plain : new Style(head.Difference < 0 ? Color.Blue : Color.Red)),
                new Text(head.JointInterval is { } interval ? $"[{Number(interval.Low, false)}, {Number(interval.High, false)}]" : "-"));
        }

        int more = moved ? comparison.Moved.Count - top : 0;
        string? below = !moved ? "Nothing is known to have moved; these are the largest differences." : more > 0 ? $"{more} more moved." : null;
        return below is null ? table : new Rows(table, new Text(below));
    }

    private static string Number(double? value, bool estimated) => (estimated ? "~" : "") + (value?.ToString(Signed, CultureInfo.InvariantCulture) ?? "-");
}
