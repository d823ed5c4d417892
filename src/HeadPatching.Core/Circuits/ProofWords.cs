using System.Globalization;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits;

/// <summary>What a proof sheet shows and what it does not, in words.</summary>
public static class ProofWords
{
    /// <summary>The sentences, the main one first.</summary>
    public static IReadOnlyList<string> Of(ProofSheet sheet)
    {
        ProvedCircuit circuit = sheet.Circuit;
        string nodes = circuit.Nodes.Count == 1 ? $"{circuit.Nodes[0].Node} alone, of {sheet.Ranking.Count} nodes, keeps" : $"{circuit.Nodes.Count} nodes of {sheet.Ranking.Count} keep";
        var said = new List<string>
        {
            $"{nodes} {Share(circuit.Faithfulness)} of the behaviour, on {sheet.HeldOut} pairs{(sheet.IsHeldOut && !circuit.WasGiven ? " that they were not chosen on" : "")}.",
        };
        if (circuit.WasGiven)
        {
            said.Add("The circuit was given, not looked for: whether fewer nodes would do is not shown.");
        }
        else if (!sheet.IsHeldOut)
        {
            said.Add("Not shown: that it is so on other pairs. They were chosen on the same ones.");
        }

        if (circuit.Faithfulness.Interval is { } interval && !new ConfidenceInterval(1 - circuit.Tolerance, 1 + circuit.Tolerance).Overlaps(interval))
        {
            said.Add($"That is not all of it: the interval leaves out everything within {Number(circuit.Tolerance)} of 1. More, or other, nodes take part.");
        }

        if (circuit.Nodes.Count == sheet.Ranking.Count)
        {
            said.Add(circuit.WasGiven ? "Those are all the nodes that were ranked." : "Those are all the nodes that were ranked: no fewer come within the tolerance.");
        }
        else if (circuit.Percentile is double percentile)
        {
            int count = circuit.Random.Count, fewer = (int)Math.Round(percentile * count);
            said.Add(fewer == count
                ? $"None of {count} random other circuits of as many nodes keeps as much; the best keeps {Number(circuit.Random[^1])}."
                : $"{count - fewer} of {count} random other circuits of as many nodes keep as much or more: that it is these is not shown.");
        }

        said.Add(circuit.Without.Effect switch
        {
            < 0.1 => $"Without them {Number(circuit.Without.Effect)} is left: nothing else does it in their place.",
            _ => $"Without them {Number(circuit.Without.Effect)} is left: other nodes do part of it as well, or in their place.",
        });
        ProvedNode[] spare = [.. circuit.Nodes.Where(node => circuit.Nodes.Count > 1 && node.Loss.Interval is { } loss ? loss.Contains(0) : Math.Abs(node.Loss.Effect) < 1e-6)];
        said.Add(spare.Length == 0
            ? $"Each is needed: left out alone, it loses {Number(circuit.Nodes.Min(node => node.Loss.Effect))} or more."
            : $"Not shown to be needed: {string.Join(", ", spare.Select(node => node.Node))} (left out alone, each loses what cannot be told from nothing).");
        bool mlps = sheet.Ranking.Any(ranked => ranked.Node.Kind == NodeKind.Mlp);
        said.Add($"Everything that was not ranked ({(mlps ? "the embedding" : "MLPs and the embedding")}) was left to itself; outside the circuit, {(sheet.Outside is string outside ? $"a head's z is {outside}" : "nodes are as in these pairs' own corrupted runs")}.");
        return said;
    }

    private static string Share(PooledEffect faithfulness) => faithfulness.Interval is { } interval
        ? $"{Number(faithfulness.Effect)} (95 %: {Number(interval.Low)} to {Number(interval.High)})"
        : Number(faithfulness.Effect);

    private static string Number(double value) => value.ToString("0.000", CultureInfo.InvariantCulture);

    private static bool Overlaps(this ConfidenceInterval one, ConfidenceInterval other) => one.Low <= other.High && other.Low <= one.High;
}
