using System.Globalization;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Circuits;
using Spectre.Console;

namespace HeadPatching.Cli.Terminal;

/// <summary>The strongest edges.</summary>
internal static class EdgesTable
{
    /// <summary>The table.</summary>
    /// <param name="edges">All edges.</param>
    /// <param name="top">How many rows.</param>
    public static Table Of(EdgeEffects edges, int top)
    {
        var table = new Table().Border(TableBorder.Simple).Title(string.Create(CultureInfo.InvariantCulture, $"The strongest of {edges.Edges.Count:N0} edges, {edges.Words()}"));
        table.AddColumn(new TableColumn("edge").NoWrap());
        table.AddColumn(new TableColumn("effect").RightAligned().NoWrap());
        table.AddColumn(new TableColumn(edges.Decision is null ? "95 % interval" : "interval for all").RightAligned().NoWrap());
        if (edges.Pairs is not null)
        {
            table.AddColumn(new TableColumn("estimate").RightAligned().NoWrap());
            table.AddColumn(new TableColumn("patched on").RightAligned().NoWrap());
        }

        if (edges.Decision is not null)
        {
            table.AddColumn(new TableColumn($"above {edges.Found.Threshold?.ToString(CultureInfo.InvariantCulture)}").NoWrap());
        }

        foreach (EdgeEffect edge in edges.Strongest().Take(top))
        {
            string[] cells =
            [
                Markup.Escape(edge.Edge.ToString()),
                Number(edge.PatchingEffect),
                edge.ConfidenceInterval is { } interval ? $"{Number(interval.Low)} to {Number(interval.High)}" : "-",
                .. edge.Pairs is int pairs ? [Number(edge.EstimatedEffect ?? 0), pairs == 0 ? "-" : string.Create(CultureInfo.InvariantCulture, $"{pairs:N0} {(pairs == 1 ? "pair" : "pairs")}")] : Array.Empty<string>(),
                .. edge.Decision is { } decision ? [decision switch { Decision.Above => "yes", Decision.Below => "no", _ => "undecided" }] : Array.Empty<string>(),
            ];
            table.AddRow(cells);
        }

        return table;
    }

    private static string Number(double value) => value.ToString("0.000;-0.000;0.000", CultureInfo.InvariantCulture);
}
