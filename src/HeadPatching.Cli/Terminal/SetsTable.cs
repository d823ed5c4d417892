using System.Globalization;
using HeadPatching.Core.Circuits;
using Spectre.Console;

namespace HeadPatching.Cli.Terminal;

/// <summary>Sets of nodes that were patched together, in the order in which they were asked for.</summary>
internal static class SetsTable
{
    private const int Most = 100, Longest = 44;

    /// <summary>The table; of many sets the first.</summary>
    public static Table Of(IReadOnlyList<PatchedSet> sets)
    {
        var table = new Table().Border(TableBorder.Simple).Title(sets.Count > Most ? $"Sets patched together, the first {Most} of {sets.Count}" : "Sets patched together");
        table.AddColumn(new TableColumn("set"));
        table.AddColumn(new TableColumn("effect").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("95 % interval").RightAligned().NoWrap());
        foreach (PatchedSet set in sets.Take(Most))
        {
            string text = set.Set.Length > Longest ? $"{set.Set[..Longest]}…" : set.Set.Length == 0 ? "(none)" : set.Set;
            table.AddRow(Markup.Escape(text), Number(set.PatchingEffect), set.ConfidenceInterval is { } interval ? $"{Number(interval.Low)} to {Number(interval.High)}" : "-");
        }

        return table;
    }

    private static string Number(double value) => value.ToString("0.000;-0.000;0.000", CultureInfo.InvariantCulture);
}
