using System.Globalization;
using HeadPatching.Core.Results.Series;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>The models of a series by the heads that are strongest over them. It fits 80 columns.</summary>
public static class SeriesTable
{
    private const int MostHeads = 5;
    private const int LongestName = 22;

    /// <summary>Makes the table.</summary>
    public static IRenderable Of(SweepSeries series)
    {
        SeriesHead[] heads = [.. series.EverImportant.Take(MostHeads)];
        if (heads.Length == 0)
        {
            heads = [.. series.Heads.OrderByDescending(head => head.Effects.Sum(Math.Abs)).Take(MostHeads)];
        }

        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn("model").NoWrap());
        table.AddColumn(new TableColumn("clean").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("corrupted").RightAligned().NoWrap());
        foreach (SeriesHead head in heads)
        {
            table.AddColumn(new TableColumn(head.Name).RightAligned().NoWrap());
        }

        foreach (var (index, model) in series.Models.Index())
        {
            string name = model.SameAs is null ? model.Name : $"{model.Name} =";
            table.AddRow([
                new Text(name.Length <= LongestName ? name : $"…{name[^(LongestName - 1)..]}"),
                new Text(Number(model.CleanMetric, "0.00")),
                new Text(Number(model.CorruptedMetric, "0.00")),
                .. heads.Select(head => new Text(Number(head.Effects[index], "+0.00;-0.00;0.00"), Math.Abs(head.Effects[index]) <= series.Threshold ? Style.Plain : new Style(head.Effects[index] < 0 ? Color.Blue : Color.Red))),
            ]);
        }

        return series.Models.Any(model => model.SameAs is not null) ? new Rows(table, new Text("= the same weights as a model before it")) : table;
    }

    private static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "-";
}
