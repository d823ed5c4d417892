using System.Globalization;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Patching.Paths;
using Spectre.Console;

namespace HeadPatching.Cli.Terminal;

/// <summary>Sets of nodes that were patched together, or the senders of paths that are no heads, in their order.</summary>
internal static class SetsTable
{
    private const int Most = 100, MostSenders = 40, Longest = 44;

    /// <summary>The table of sets; of many the first.</summary>
    public static Table Of(IReadOnlyList<PatchedSet> sets) =>
        Of(sets.Take(Most), sets.Count > Most ? $"Sets patched together, the first {Most} of {sets.Count}" : "Sets patched together", "set");

    /// <summary>The table of the embedding and MLPs as senders; of many, as where each position is patched in turn, the strongest.</summary>
    /// <param name="senders">The senders.</param>
    /// <param name="receivers">Where their paths end.</param>
    public static Table OfSenders(IReadOnlyList<PatchedSet> senders, IReadOnlyList<Receiver> receivers)
    {
        string title = $"Paths to {string.Join(", ", receivers)} from other senders";
        return senders.Count <= MostSenders
            ? Of(senders, title, "sender")
            : Of(senders.OrderByDescending(sender => Math.Abs(sender.PatchingEffect)).Take(MostSenders), $"{title}, the strongest {MostSenders} of {senders.Count}", "sender");
    }

    private static Table Of(IEnumerable<PatchedSet> sets, string title, string what)
    {
        var table = new Table().Border(TableBorder.Simple).Title(title);
        table.AddColumn(new TableColumn(what));
        table.AddColumn(new TableColumn("effect").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("95 % interval").RightAligned().NoWrap());
        foreach (PatchedSet set in sets)
        {
            string text = set.Set.Length > Longest ? $"{set.Set[..Longest]}…" : set.Set.Length == 0 ? "(none)" : set.Set;
            table.AddRow(Markup.Escape(text), Number(set.PatchingEffect), set.ConfidenceInterval is { } interval ? $"{Number(interval.Low)} to {Number(interval.High)}" : "-");
        }

        return table;
    }

    private static string Number(double value) => value.ToString("0.000;-0.000;0.000", CultureInfo.InvariantCulture);
}
