using System.Globalization;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Results.OverPairs;
using Spectre.Console;

namespace HeadPatching.Cli.Terminal;

/// <summary>A proof sheet in the terminal: circuits by size, the one that was found, and what that shows. It fits 80 columns.</summary>
internal static class ProofDisplay
{
    private const string Signed = "0.000;-0.000;0.000";

    /// <summary>Writes it.</summary>
    public static void Write(ProofSheet sheet)
    {
        AnsiConsole.WriteLine($"{sheet.Ranking.Count} nodes, ranked on {sheet.LookedAt} pairs and proved on {sheet.HeldOut}{(sheet.IsHeldOut ? " others" : ", the same")}.");
        AnsiConsole.WriteLine(FormattableString.Invariant(
            $"Metric of all clean {sheet.CleanMetric:G4}, of none {sheet.NoneMetric:G4} (of the corrupted run {sheet.CorruptedMetric:G4}); f is the share between."));
        var sizes = new Table().Border(TableBorder.Simple);
        foreach (string name in new[] { "nodes", "of all", "f alone", "95 % interval", "random (most)", "f without" })
        {
            sizes.AddColumn(new TableColumn(name).RightAligned().NoWrap());
        }

        foreach (ProvedSize size in sheet.Sizes)
        {
            sizes.AddRow(
                size.Nodes.ToString(CultureInfo.InvariantCulture),
                size.Share.ToString("0.0 %", CultureInfo.InvariantCulture),
                Number(size.Faithfulness.Effect),
                Interval(size.Faithfulness),
                size.Random.Count == 0 ? "-" : $"{Number(size.Random.Average())} ({Number(size.Random[^1])})",
                Number(size.Without.Effect));
        }

        AnsiConsole.Write(sizes);
        AnsiConsole.WriteLine(FormattableString.Invariant($"CPR {sheet.Cpr:F3}{(sheet.RandomCpr is double random ? FormattableString.Invariant($" (random circuits {random:F3})") : "")}, CMD {sheet.Cmd:F3}"));

        var nodes = new Table().Border(TableBorder.Simple).Title("The circuit");
        nodes.AddColumn(new TableColumn("node").NoWrap());
        foreach (string name in new[] { "effect alone", "f lost without it", "95 % interval" })
        {
            nodes.AddColumn(new TableColumn(name).RightAligned().NoWrap());
        }

        foreach (ProvedNode node in sheet.Circuit.Nodes)
        {
            nodes.AddRow(node.Node.ToString(), Number(node.Effect), Number(node.Loss.Effect), Interval(node.Loss));
        }

        AnsiConsole.Write(nodes);
        foreach (string said in sheet.Verdict)
        {
            AnsiConsole.WriteLine(said);
        }
    }

    private static string Interval(PooledEffect effect) => effect.Interval is { } interval ? $"{Number(interval.Low)} to {Number(interval.High)}" : "-";

    private static string Number(double value) => value.ToString(Signed, CultureInfo.InvariantCulture);
}
