using System.Globalization;
using System.Text;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports.Circuits;

/// <summary>
/// A circuit for Graphviz (graphviz.org/doc/info/lang.html), layers upwards, nodes in the colours of heatmaps. Edges that were measured are as wide as they
/// matter, with their intervals in the tooltip; where nodes were, all edges between them are there, dotted. What was not ranked is left out of it.
/// </summary>
public static class CircuitDot
{
    private const double WidestEdge = 5, NarrowestEdge = 0.6;

    /// <summary>Writes it.</summary>
    public static void Write(CircuitGraph graph, Stream to)
    {
        using var text = new StreamWriter(to, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true) { NewLine = "\n" };
        GraphNode[] found = [.. graph.Found.Where(node => node.Node.Kind != NodeKind.Embedding)];
        double limit = DivergingColours.LimitOf([[.. graph.Nodes.Select(node => node.Score ?? 0)]]);
        text.WriteLine("digraph circuit {");
        text.WriteLine("  rankdir=BT; fontname=\"Helvetica\";");
        text.WriteLine($"  label={Quoted(string.Join(", ", ((string[])[graph.Model.Name, graph.Task, graph.Metric]).Where(part => part.Length > 0)))};");
        text.WriteLine("  node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", fontname=\"Helvetica\"];");
        text.WriteLine("  embed [style=rounded];");
        text.WriteLine("  logits [style=rounded];");
        foreach (IGrouping<int, GraphNode> layer in found.GroupBy(node => node.Node.Layer))
        {
            text.WriteLine($"  subgraph layer_{Number(layer.Key)} {{");
            // An MLP reads its layer's heads, and so stands above them.
            foreach (IGrouping<NodeKind, GraphNode> rank in layer.GroupBy(node => node.Node.Kind))
            {
                text.WriteLine("    {");
                text.WriteLine("      rank=same;");
                foreach (GraphNode node in rank)
                {
                    text.WriteLine($"      {node.Node} [{Attributes(node)}];");
                }

                text.WriteLine("    }");
            }

            text.WriteLine("  }");
        }

        HashSet<Node> shown = [Node.Embedding, .. found.Select(node => node.Node)];
        double most = graph.Edges.Select(edge => Math.Abs(edge.Score ?? 0)).Append(1e-9).Max();
        // A head's three inputs are one arrow.
        foreach (var edges in graph.EveryEdge().Where(edge => edge.InCircuit && shown.Contains(edge.Edge.Sender)).GroupBy(edge => (edge.Edge.Sender, Reader: CircuitGraph.NodeOf(edge.Edge.Receiver))))
        {
            if (edges.Key.Reader is not Node reader || shown.Contains(reader))
            {
                double[] scores = [.. edges.Select(edge => edge.Score).OfType<double>()];
                string tooltip = string.Join("\\n", edges.Where(edge => edge.Interval is not null).Select(Words).Prepend(Number(scores.Sum())));
                string looks = scores.Length == 0
                    ? "style=dotted, color=\"#8a94a0\""
                    : $"penwidth={Number(NarrowestEdge + ((WidestEdge - NarrowestEdge) * Math.Min(1, Math.Abs(scores.Sum()) / most)))}, color=\"{(scores.Sum() < 0 ? "#2166ac" : "#b2182b")}\", tooltip=\"{tooltip}\"";
                text.WriteLine($"  {edges.Key.Sender} -> {edges.Key.Reader?.ToString() ?? "logits"} [{looks}];");
            }
        }

        text.WriteLine("}");

        string Words(GraphEdge edge) => string.Join(", ", ((string?[])
        [
            $"{edge.Edge} {Number(edge.Score ?? 0)} [{Number(edge.Interval!.Value.Low)}, {Number(edge.Interval.Value.High)}]",
            edge.Pairs is int pairs ? $"{pairs.ToString(CultureInfo.InvariantCulture)} pairs" : null,
            edge.Decision?.NameOf(),
        ]).OfType<string>());

        string Attributes(GraphNode node)
        {
            if (node.Score is not double score)
            {
                return $"label=\"{node.Node}\"";
            }

            var colour = DivergingColours.At(score, limit);
            string font = DivergingColours.IsDark(colour) ? "#ffffff" : "#1f2933";
            return $"label=\"{node.Node}\\n{score.ToString("+0.000;-0.000;0.000", CultureInfo.InvariantCulture)}\", fillcolor=\"#{colour.Red:x2}{colour.Green:x2}{colour.Blue:x2}\", fontcolor=\"{font}\"";
        }
    }

    private static string Number(double value) => value.ToString("0.######", CultureInfo.InvariantCulture);

    // Of a quoted text, only the quote has a meaning of its own to Graphviz, and the backslash before it.
    private static string Quoted(string text) =>
        $"\"{string.Concat(text.Select(character => char.IsControl(character) ? ' ' : character)).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
