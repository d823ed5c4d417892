using System.Text;
using System.Text.Json;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Circuits.Exchange;

/// <summary>EAP-IG's graphs, out and in: what <c>Graph.from_json</c> of github.com/hannamw/EAP-IG asks for, and what <c>Graph.to_json</c> writes.</summary>
public class EapIgFileTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_circuit_of_nodes_is_a_graph_with_all_edges_between_them(bool parallel)
    {
        SweepResult sweep = ExampleProof.Sweep(3, 4, parallel);
        ProofSheet sheet = ExampleProof.Of(sweep, nodes: 2);
        JsonElement graph = JsonDocument.Parse(Written(CircuitGraph.Of(sheet, sweep))).RootElement;
        JsonElement cfg = graph.GetProperty("cfg");
        Assert.Equal((3, 4, 256, parallel), (Number("n_layers"), Number("n_heads"), Number("d_model"), cfg.GetProperty("parallel_attn_mlp").GetBoolean()));

        // from_json looks every name up in the graph that from_model makes of cfg, and reads in_graph of each, and score of each edge.
        string[] heads = [.. from layer in Enumerable.Range(0, 3) from head in Enumerable.Range(0, 4) select $"a{layer}.h{head}"];
        JsonElement nodes = graph.GetProperty("nodes"), edges = graph.GetProperty("edges");
        Assert.Equal([.. ((string[])["input", "logits", "m0", "m1", "m2", .. heads]).Order(StringComparer.Ordinal)], nodes.EnumerateObject().Select(node => node.Name).Order(StringComparer.Ordinal));
        // What was not ranked is left to itself: in the graph and without a score, which apply_topn takes for what stays.
        HashSet<string> circuit = [.. sheet.Circuit.Nodes.Select(node => $"a{node.Node.Layer}.h{node.Node.Head}"), "input", "logits", "m0", "m1", "m2"];
        Assert.All(nodes.EnumerateObject(), node => Assert.Equal(circuit.Contains(node.Name), node.Value.GetProperty("in_graph").GetBoolean()));
        Assert.All(nodes.EnumerateObject(), node => Assert.Equal(node.Name.StartsWith('a'), node.Value.TryGetProperty("score", out _)));
        // An edge that is not there stays as from_model makes it: out of the graph, its score 0.
        Assert.Equal(
            [.. EdgesOfEapIg(3, 4, parallel).Where(edge => edge.Split("->") is [var sender, var reader] && circuit.Contains(sender) && circuit.Contains(reader.Split('<')[0])).Order(StringComparer.Ordinal)],
            edges.EnumerateObject().Select(edge => edge.Name).Order(StringComparer.Ordinal));
        Assert.All(edges.EnumerateObject(), edge => Assert.Equal((0, true), (edge.Value.GetProperty("score").GetDouble(), edge.Value.GetProperty("in_graph").GetBoolean())));

        int Number(string name) => cfg.GetProperty(name).GetInt32();
    }

    [Fact]
    public void What_is_written_is_read_back_as_the_same_set_of_nodes()
    {
        SweepResult sweep = ExampleProof.Sweep(4, 3);
        CircuitGraph written = CircuitGraph.Of(ExampleProof.Of(sweep, nodes: 5, mlps: true), sweep);
        CircuitGraph read = Read(Written(written));
        Assert.Equal(written.Circuit, read.Circuit);
        Assert.Equal(written.Nodes.Select(node => node.Score), read.Nodes.Select(node => node.Score));
        Assert.Equal(written.AsPatchSet().ToString(), read.AsPatchSet().ToString());

        // Where edges were measured, each has its score, in the circuit or not.
        CircuitGraph edges = written with { Edges = [.. written.EveryEdge().Select((edge, index) => edge with { Score = 0.25 * index })] };
        CircuitGraph back = Read(Written(edges));
        Assert.Equal(edges.Circuit, back.Circuit);
        Assert.Equal(edges.Edges, back.Edges);
        Assert.Equal(EdgesOfEapIg(4, 3, parallel: false).Count, back.Edges.Count);
    }

    [Fact]
    public void A_circuit_that_went_out_and_came_in_is_as_faithful_as_before()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        ModelConfig config = golden.Model.Config;
        TokenPair[] pairs = [.. golden.Pairs.Take(2)];
        RankedNode[] ranking = [.. Node.All(config).Where(node => node.Kind == NodeKind.Head).Select((node, index) => new RankedNode(node, Math.Cos(index)))];
        ProofSheet sheet = CircuitProof.Prove(
            golden.Model, ranking, pairs, pairs, new ProofOptions { Random = 0, Sizes = [config.Heads], Tolerance = 0.3 }, new LogitDifference(), MemoryBudget.Default);
        Assert.NotEqual(ranking.Length, sheet.Circuit.Nodes.Count);

        CircuitGraph read = Read(Written(CircuitGraph.Of(sheet, ExampleProof.Sweep(config.Layers, config.Heads))));
        PatchSetRuns runs = PatchSets.Run(golden.Model, pairs, [read.OthersAsPatchSet()], Direction.Noise, new LogitDifference(), MemoryBudget.Default);
        double all = runs.Baselines.Average(baseline => baseline.Clean);
        Assert.Equal(sheet.Circuit.Faithfulness.Effect, (runs.Patched[0].Average() - sheet.NoneMetric) / (all - sheet.NoneMetric), 1e-9);
    }

    [Fact]
    public void Edges_decide_which_nodes_are_in_the_circuit_as_when_EAP_IG_prunes_it()
    {
        // a1.h0 is reached by nothing, and so m1 is not by a1.h0; a0.h1 is left by nothing; a0.h0 is both, through m0.
        CircuitGraph graph = Read(Graph(
            nodes: """ "input": {"in_graph": true}, "a1.h0": {"in_graph": true, "score": NaN}, "a0.h0": {"in_graph": false}, "logits": {"in_graph": true} """,
            edges:
            [
                ("input->a0.h0<v>", 0.5, true), ("a0.h0->m0", -0.25, true), ("m0->logits", 1, true), ("input->a0.h1<q>", 0.1, true),
                ("a1.h0->m1", 0.2, true), ("m1->logits", 0.2, true), ("input->m1", 0.3, false),
            ]));
        Assert.Equal(["embed", "L0H0", "M0"], graph.Circuit.Select(node => node.ToString()));
        Assert.Equal(["embed->L0H0.v", "L0H0->M0", "M0->logits"], graph.Edges.Where(edge => edge.InCircuit).Select(edge => edge.Edge.ToString().Replace("L0.mlp", "M0", StringComparison.Ordinal)));
        Assert.Equal("embed,L0H0,M0", graph.AsPatchSet().ToString());
    }

    [Fact]
    public void The_strongest_edges_are_a_circuit_without_what_hangs_loose_and_keys_that_heads_share_are_those_of_each()
    {
        var model = new CircuitModel("llama", 2, 4) { KeyValueHeads = 2, Width = 8, ParallelResidual = false };
        EdgeEffect[] edges =
        [
            Of("embed->L0H2.v", 0.5), Of("L0H2->L1H1.k", -0.9), Of("L1H2->logits", 0.3), Of("L1H3->logits", 0.2), Of("L0H0->L1.mlp", 0.8), Of("embed->L1H0.q", 0.01),
        ];
        CircuitGraph graph = CircuitGraph.Of(model, edges, strongest: 4, ungrouped: true);
        Assert.Empty(graph.Circuit); // L0H2 leads to L1H1, which leads nowhere

        // Of key/value head 1 are the query heads 2 and 3; its values come from the embedding by way of one, its keys read what L0H2 and L0H3 have of them.
        graph = CircuitGraph.Of(model, [Of("embed->L0H1.v", 0.5), .. edges[1..]], strongest: 5, ungrouped: false);
        Assert.Equal(["embed", "L0H2", "L1H2", "L1H3"], graph.Circuit.Select(node => node.ToString()));
        Assert.Equal(["L0H2->L1H2.k", "L0H2->L1H3.k", "embed->L0H2.v", "L1H2->logits", "L1H3->logits"], graph.Edges.Where(edge => edge.InCircuit).Select(edge => edge.Edge.ToString()));
        Assert.Equal(graph.Edges.Select(edge => edge.ToString()).Order(), Read(Written(graph)).Edges.Select(edge => edge.ToString()).Order());

        // To its reader they are edges as any others: what it does not know, it passes by.
        graph = CircuitGraph.Of(
            model,
            [.. edges.Select((edge, index) => edge with { ConfidenceInterval = index == 3 ? null : new ConfidenceInterval(edge.PatchingEffect - 0.125, edge.PatchingEffect + 0.25), Pairs = index, Decision = Decision.Below })],
            strongest: 4,
            ungrouped: true);
        JsonElement patchedOnOne = JsonDocument.Parse(Written(graph)).RootElement.GetProperty("edges").GetProperty("a0.h2->a1.h1<k>");
        Assert.Equal(["score", "in_graph", "low", "high", "pairs", "decision"], patchedOnOne.EnumerateObject().Select(member => member.Name));
        Assert.Equal((-1.025, -0.65), (patchedOnOne.GetProperty("low").GetDouble(), patchedOnOne.GetProperty("high").GetDouble()));
        Assert.Equal((1, "below"), (patchedOnOne.GetProperty("pairs").GetInt32(), patchedOnOne.GetProperty("decision").GetString()));
        GraphEdge[] inside = [.. graph.Edges.Select(edge => edge with { InCircuit = true })];
        string written = Written(graph with { Edges = inside });
        Assert.Equal(ByName(inside), ByName(Read(written).Edges.Select(edge => edge with { InCircuit = true })));

        // Of another's file such members may be anything.
        GraphEdge[] others = [.. Read(written.Replace("\"below\"", "{}", StringComparison.Ordinal).Replace("\"low\":", "\"low\":[],\"lower\":", StringComparison.Ordinal).Replace("\"pairs\":", "\"pairs\":-", StringComparison.Ordinal).Replace("-0,", "0.5,", StringComparison.Ordinal)).Edges];
        Assert.Equal(inside.Length, others.Length);
        Assert.All(others, edge => Assert.Equal((null, null, null), (edge.Interval, edge.Pairs, edge.Decision)));

        static IEnumerable<GraphEdge> ByName(IEnumerable<GraphEdge> some) => some.OrderBy(edge => edge.Edge.ToString(), StringComparer.Ordinal);

        static EdgeEffect Of(string text, double effect) => Edge.TryParse(text, out Edge edge) ? new EdgeEffect(edge, effect, null, null) : throw new ArgumentException(text);
    }

    [Fact]
    public void Files_of_nodes_alone_and_of_earlier_versions_are_read()
    {
        CircuitGraph graph = Read(Graph(nodes: """ "input": true, "a0.h1": true, "m1": false, "logits": true """, edges: [("input->logits", 0, false)]));
        Assert.Equal(["embed", "L0H1"], graph.Circuit.Select(node => node.ToString()));
        Assert.Empty(graph.Edges);
    }

    [Fact]
    public void A_damaged_file_is_refused_with_every_fault_and_its_place()
    {
        string damaged = Graph(
            nodes: """ "a0.h9": {"in_graph": true}, "head": {"in_graph": true}, "m0": {"score": 1}, "m1": {"in_graph": true, "score": Infinity}, "a0.h0": {"in_graph": true, "neurons": [true]} """,
            edges: [("m1->m0", 0, true), ("a0.h0->a1.h0", 0, true), ("a0.h0->m0<q>", 0, true), ("input->a2.h0<q>", 0, true), ("logits->m0", 0, true)]);
        InvalidInputException refused = Assert.Throws<InvalidInputException>(() => Read(damaged));
        Assert.Equal(
            [
                "graph.json: nodes.a0.h9", "graph.json: nodes.head", "graph.json: nodes.m0.in_graph", "graph.json: nodes.m1.score", "graph.json: nodes.a0.h0.neurons",
                "graph.json: edges.m1->m0", "graph.json: edges.a0.h0->a1.h0", "graph.json: edges.a0.h0->m0<q>", "graph.json: edges.input->a2.h0<q>", "graph.json: edges.logits->m0",
            ],
            refused.Faults.Select(fault => fault.Where));
        Assert.Contains("a0.h0 to a1.h1", refused.Faults[0].Message, StringComparison.Ordinal);

        Assert.Equal(["graph.json: nodes", "graph.json: edges", "graph.json: cfg.n_layers", "graph.json: cfg.n_heads", "graph.json: cfg.parallel_attn_mlp"],
            Assert.Throws<InvalidInputException>(() => Read("""{"cfg": {"n_layers": 0, "n_heads": 1.5}}""")).Faults.Select(fault => fault.Where));
        foreach (string text in (string[])["", "[]", "{\"cfg\"", "{\"cfg\": {}, \"cfg\": {}}", "{\"NaN", "{\"a\\"])
        {
            Assert.Equal(FaultKinds.Malformed, Assert.Throws<InvalidInputException>(() => Read(text)).Faults[0].Kind);
        }

        // Many are counted, not listed.
        string many = Graph(nodes: string.Join(',', Enumerable.Range(0, 100).Select(index => $"\"x{index}\": true")), edges: []);
        Assert.Equal(21, Assert.Throws<InvalidInputException>(() => Read(many)).Faults.Count);
        Assert.Contains("80 more", Assert.Throws<InvalidInputException>(() => Read(many)).Faults[^1].Message, StringComparison.Ordinal);
    }

    /// <summary>What <c>Graph.from_model</c> makes: who reads whom, layer by layer.</summary>
    private static List<string> EdgesOfEapIg(int layers, int heads, bool parallel)
    {
        var edges = new List<string>();
        var stream = new List<string> { "input" };
        for (int layer = 0; layer < layers; layer++)
        {
            string[] own = [.. Enumerable.Range(0, heads).Select(head => $"a{layer}.h{head}")];
            edges.AddRange(from sender in stream from head in own from input in "qkv" select $"{sender}->{head}<{input}>");
            edges.AddRange((parallel ? stream : [.. stream, .. own]).Select(sender => $"{sender}->m{layer}"));
            stream.AddRange([.. own, $"m{layer}"]);
        }

        edges.AddRange(stream.Select(sender => $"{sender}->logits"));
        return edges;
    }

    private static string Graph(string nodes, IEnumerable<(string Name, double Score, bool InGraph)> edges)
    {
        IEnumerable<string> members = edges.Select(edge => FormattableString.Invariant($"\"{edge.Name}\": {{\"score\": {edge.Score}, \"in_graph\": {(edge.InGraph ? "true" : "false")}}}"));
        return "{\"cfg\": {\"n_layers\": 2, \"n_heads\": 2, \"parallel_attn_mlp\": false, \"d_model\": 8}, \"nodes\": {" + nodes + "}, \"edges\": {" + string.Join(", ", members) + "}}";
    }

    private static CircuitGraph Read(string text)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        return EapIgFile.Read(stream, "graph.json");
    }

    private static string Written(CircuitGraph graph)
    {
        using var stream = new MemoryStream();
        EapIgFile.Write(graph, stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
