using System.Globalization;
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
        string how = edges.Found.Method switch
        {
            EdgeMethod.Exact => "each patched",
            EdgeMethod.Attribution => "estimated from one gradient (EAP)",
            _ => string.Create(CultureInfo.InvariantCulture, $"estimated from {edges.Found.Steps} gradients (EAP-IG)"),
        };
        var table = new Table().Border(TableBorder.Simple).Title(string.Create(CultureInfo.InvariantCulture, $"The strongest of {edges.Edges.Count:N0} edges, {how}"));
        table.AddColumn(new TableColumn("edge").NoWrap());
        table.AddColumn(new TableColumn("effect").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("95 % interval").RightAligned().NoWrap());
        foreach (EdgeEffect edge in edges.Strongest().Take(top))
        {
            table.AddRow(
                Markup.Escape(edge.Edge.ToString()),
                Number(edge.PatchingEffect),
                edge.ConfidenceInterval is { } interval ? $"{Number(interval.Low)} to {Number(interval.High)}" : "-");
        }

        return table;
    }

    private static string Number(double value) => value.ToString("0.000;-0.000;0.000", CultureInfo.InvariantCulture);
}
