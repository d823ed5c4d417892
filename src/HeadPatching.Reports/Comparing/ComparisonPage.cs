using System.Text.Json;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;

namespace HeadPatching.Reports.Comparing;

/// <summary>
/// comparison.html: two sweeps side by side as one page, self-contained and as careful with what it shows as <see cref="ReportPage"/>.
/// </summary>
public static class ComparisonPage
{
    /// <summary>Writes the page.</summary>
    public static void Write(SweepComparison comparison, Stream to)
    {
        DifferenceTable differences = DifferenceTable.Of(comparison);
        HeatmapTable table = differences.Table;
        var data = new
        {
            comparison,
            table = new
            {
                kind = table.Columns.NameOf(),
                axis = table.Axis ?? "",
                labels = Enumerable.Range(0, table.Width).Select(table.LabelOf),
                heads = differences.Heads,
                limit = DivergingColours.LimitOf(table.Effects),
                cell = ReportPage.CellSize(table.Effects.Length, table.Width),
            },
        };
        SelfContainedPage.Write(
            "comparison",
            $"{comparison.B.Label} minus {comparison.A.Label}: two sweeps side by side",
            new Dictionary<string, string> { ["unit"] = comparison.Unit, ["unit-title"] = char.ToUpperInvariant(comparison.Unit[0]) + comparison.Unit[1..], ["summary"] = comparison.Summary },
            JsonSerializer.Serialize(data, ReportPage.DataJson),
            to);
    }
}
