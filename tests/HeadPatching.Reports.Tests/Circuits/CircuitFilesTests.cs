using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Core.Results;
using HeadPatching.Reports.Circuits;
using HeadPatching.Testing;

namespace HeadPatching.Reports.Tests.Circuits;

/// <summary>The files of a circuit: the page, pictures for papers, and Graphviz.</summary>
public partial class CircuitFilesTests
{
    private const string Hostile = "</script><script>alert(1)</script>{{script}}\"\\\n";

    [Fact]
    public void There_are_the_same_files_at_each_call()
    {
        SweepResult sweep = ExampleProof.Sweep(12, 12);
        ProofSheet sheet = ExampleProof.Of(sweep, nodes: 20, mlps: true);
        var once = CircuitFiles.Of(sheet, sweep);
        Assert.Equal(
            ["circuit.html", "circuit.json", "circuit.svg", "faithfulness.svg", "circuit.dot", "circuit.neuronpedia.json", "circuit.circuitkit.json", "circuit.eap-ig.json"],
            once.Select(file => file.Name));
        Assert.All(once.Zip(CircuitFiles.Of(sheet, sweep)), both => Assert.Equal(Text(both.First.Write), Text(both.Second.Write)));

        // Without d_model, as in results of earlier versions, there is none for EAP-IG, whose reader asks for it.
        Assert.DoesNotContain("circuit.eap-ig.json", CircuitFiles.Of(sheet, ExampleSweep.Of(12, 12)).Select(file => file.Name));
    }

    [Fact]
    public void The_page_shows_hostile_names_as_text_and_loads_nothing()
    {
        SweepResult sweep = ExampleProof.Sweep(3, 4);
        sweep = sweep with { Model = sweep.Model with { Name = Hostile }, Dataset = sweep.Dataset with { Name = Hostile } };
        string page = Text(CircuitFiles.Of(ExampleProof.Of(sweep), sweep)[0].Write);
        Assert.DoesNotContain("<script>alert", page, StringComparison.Ordinal);
        Assert.Empty(External().Matches(page));
    }

    [Fact]
    public void The_page_knows_where_random_circuits_lie()
    {
        SweepResult sweep = ExampleProof.Sweep(3, 4);
        ProofSheet sheet = ExampleProof.Of(sweep);
        double[] random = [.. Enumerable.Range(0, 41).Select(index => 0.02 * index)];
        string page = Text(CircuitFiles.Of(sheet with { Sizes = [sheet.Sizes[0] with { Random = random }, .. sheet.Sizes.Skip(1)] }, sweep)[0].Write);
        using JsonDocument data = JsonDocument.Parse(Data().Match(page).Groups[1].Value);
        JsonElement band = data.RootElement.GetProperty("sizes")[0].GetProperty("random");
        Assert.Equal([41, 0, 0.04, 0.4, 0.76, 0.8], ((string[])["count", "low", "five", "mean", "ninetyFive", "high"]).Select(name => Math.Round(band.GetProperty(name).GetDouble(), 9)));
        Assert.False(data.RootElement.TryGetProperty("ranking", out _));
    }

    [Theory]
    [InlineData(3, 4, 4, 100, true)]
    [InlineData(12, 12, 26, 100, true)]
    [InlineData(32, 32, 60, 0, true)]
    [InlineData(1, 2, 1, 10, false)]
    [InlineData(2, 2, 4, 10, true)]
    public void Pictures_are_shapes_and_text_at_every_size(int layers, int heads, int nodes, int random, bool intervals)
    {
        SweepResult sweep = ExampleProof.Sweep(layers, heads);
        sweep = sweep with { Dataset = sweep.Dataset with { Name = "pairs\u0001 of 日本" } };
        ProofSheet sheet = ExampleProof.Of(sweep, nodes, random, intervals: intervals);
        var (graph, curve) = (Svg(to => CircuitPicture.WriteSvg(sheet, sweep, to)), Svg(to => FaithfulnessPicture.WriteSvg(sheet, sweep, to)));
        string[] texts = [.. TextsOf(graph)];
        Assert.All(sheet.Circuit.Nodes, node => Assert.Contains(node.Node.ToString(), texts));
        Assert.Contains("logits", texts);
        Assert.Contains("embed", texts);
        Assert.Contains($"The circuit: {nodes} of {layers * heads} heads, faithfulness 1.010{(intervals ? " (0.980 to 1.035)" : "")}", texts);
        Assert.Contains("ioi-demo · pairs? of ?? · logit-difference · found on 70 pairs, proved on 30 others", texts);
        string[] onCurve = [.. TextsOf(curve)];
        Assert.Contains(sheet.Ranking.Count.ToString(), onCurve); // the last size
        Assert.Equal(random > 0, onCurve.Any(text => text.StartsWith($"{random} random ones", StringComparison.Ordinal)));
    }

    [Fact]
    public void Graphviz_gets_the_nodes_of_the_circuit_by_layer_and_the_edges_between_them()
    {
        SweepResult sweep = ExampleProof.Sweep(2, 3);
        sweep = sweep with { Model = sweep.Model with { Name = Hostile } };
        ProofSheet sheet = ExampleProof.Of(sweep, nodes: 2);
        CircuitGraph graph = CircuitGraph.Of(sheet, sweep) with { Nodes = [], Task = "ioi" };
        GraphNode[] nodes = [new(Node.Embedding, null, true), new(Node.OfHead(0, 1), 0.5, true), new(Node.OfHead(0, 2), 0.4, false), new(Node.OfMlp(0), -0.25, true), new(Node.OfHead(1, 2), 0.25, true), new(Node.OfMlp(1), null, true)];
        string[] lines = [.. Text(to => CircuitDot.Write(graph with { Nodes = nodes }, to)).Split('\n').Select(line => line.Trim())];
        Assert.Equal("digraph circuit {", lines[0]);
        Assert.Contains("label=\"</script><script>alert(1)</script>{{script}}\\\"\\\\ , ioi, logit-difference\";", lines);
        Assert.Contains("L0H1 [label=\"L0H1\\n+0.500\", fillcolor=\"#67001f\", fontcolor=\"#ffffff\"];", lines);
        Assert.Equal(lines.Count(line => line.EndsWith('{')), lines.Count(line => line == "}"));
        // L0H1 -> L1H2 once, for its three inputs; neither what is not in the circuit nor what was not ranked.
        Assert.Equal(
            ["L0H1 -> L1H2", "L0H1 -> M0", "L0H1 -> logits", "L1H2 -> logits", "M0 -> L1H2", "M0 -> logits", "embed -> L0H1", "embed -> L1H2", "embed -> M0", "embed -> logits"],
            lines.Where(line => line.Contains("->", StringComparison.Ordinal)).Select(line => line.Split(" [")[0]).Order(StringComparer.Ordinal));

        CircuitGraph edges = graph with { Nodes = nodes, Edges = [.. (graph with { Nodes = nodes }).EveryEdge().Where(edge => edge.InCircuit).Take(3).Select(edge => edge with { Score = -0.5 })] };
        string written = Text(to => CircuitDot.Write(edges, to));
        Assert.Contains("color=\"#2166ac\"", written, StringComparison.Ordinal);
        Assert.DoesNotContain("dotted", written, StringComparison.Ordinal);
        edges = edges with { Edges = [.. edges.Edges.Select(edge => edge with { Interval = new(-0.75, -0.25), Pairs = 14, Decision = Decision.Above })] };
        Assert.Contains("\\nembed->L0H1.q -0.5 [-0.75, -0.25], 14 pairs, above\\nembed->L0H1.k -0.5", Text(to => CircuitDot.Write(edges, to)), StringComparison.Ordinal);
    }

    [GeneratedRegex("(src|href)=\"(?!data:,)|url\\((?!data:)|@import")]
    private static partial Regex External();

    [GeneratedRegex("<script type=\"application/json\" id=\"data\">(.*?)</script>", RegexOptions.Singleline)]
    private static partial Regex Data();

    private static XElement Svg(Action<Stream> write)
    {
        XElement root = XDocument.Parse(Text(write)).Root!;
        Assert.DoesNotContain(root.Descendants(), element => element.Name.LocalName == "image");
        return root;
    }

    private static IEnumerable<string> TextsOf(XElement svg) => svg.Descendants().Where(element => element.Name.LocalName == "text").Select(element => element.Value.Trim());

    private static string Text(Action<Stream> write)
    {
        using var stream = new MemoryStream();
        write(stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
