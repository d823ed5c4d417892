using System.Globalization;
using System.Text;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports.Circuits;

/// <summary>The files of a sweep's edges: all of them as a table, and the strong ones as the graph that other programs read.</summary>
public static class EdgeFiles
{
    /// <summary>The table.</summary>
    public const string TableName = "edges.csv";

    /// <summary>All of them, by name; none of a sweep without edges.</summary>
    /// <param name="result">The sweep.</param>
    /// <returns>Names, and what writes each. In the graph those above the threshold are in the circuit, less what does not hang together.</returns>
    public static IReadOnlyList<(string Name, Action<Stream> Write)> Of(SweepResult result)
    {
        if (result.Edges is not EdgeEffects edges)
        {
            return [];
        }

        CircuitGraph graph = CircuitGraph.Of(
            CircuitModel.Of(result.Model),
            [.. edges.All()],
            edges.PatchingEffect.Count(effect => Math.Abs(effect) > result.Threshold),
            edges.Found.Ungrouped);
        var files = new List<(string Name, Action<Stream> Write)> { (TableName, to => WriteTable(edges, result.Dataset.Pairs, to)), ("edges.dot", to => CircuitDot.Write(graph, to)) };
        if (EapIgFile.CanHold(graph))
        {
            files.Add(("edges.eap-ig.json", to => EapIgFile.Write(graph, to)));
        }

        return files;
    }

    // On how many pairs each was patched, 0 where its effect is an estimate.
    private static void WriteTable(EdgeEffects edges, int pairs, Stream to)
    {
        using var text = new StreamWriter(to, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true) { NewLine = "\n" };
        text.WriteLine("edge,sender,receiver,patchingEffect,standardError,confidenceLow,confidenceHigh,pairs,estimatedEffect,decision");
        int? patched = edges.Found.Method switch { EdgeMethod.Exact => pairs, EdgeMethod.Attribution or EdgeMethod.AttributionIg => 0, _ => null };
        foreach (EdgeEffect edge in edges.All())
        {
            text.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{edge.Edge},{edge.Edge.Sender},{edge.Edge.Receiver},{edge.PatchingEffect:R},{edge.StandardError:R},{edge.ConfidenceInterval?.Low:R},{edge.ConfidenceInterval?.High:R},{patched ?? edge.Pairs},{edge.EstimatedEffect:R},{edge.Decision?.NameOf()}"));
        }
    }
}
