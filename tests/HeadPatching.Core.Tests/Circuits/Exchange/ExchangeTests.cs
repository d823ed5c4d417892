using System.Text;
using System.Text.Json;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Core.Results;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Circuits.Exchange;

/// <summary>What others' programs ask of a circuit's file, as their schema or the source of their reader says.</summary>
public class ExchangeTests
{
    private static readonly SweepResult Sweep = ExampleProof.Sweep(3, 4);
    private static readonly ProofSheet Sheet = ExampleProof.Of(Sweep, nodes: 3, mlps: true);

    // graph-schema.json, version 1.0.0, in github.com/hijohnnylin/neuronpedia: what must be there, and of which type.
    private static readonly (string Member, JsonValueKind[] Kinds)[] Metadata =
        [("slug", [JsonValueKind.String]), ("scan", [JsonValueKind.String]), ("prompt_tokens", [JsonValueKind.Array]), ("prompt", [JsonValueKind.String])];

    private static readonly (string Member, JsonValueKind[] Kinds)[] NodeOfNeuronpedia =
    [
        ("node_id", [JsonValueKind.String]), ("feature", [JsonValueKind.Number, JsonValueKind.Null]), ("layer", [JsonValueKind.String, JsonValueKind.Number]), ("ctx_idx", [JsonValueKind.Number]),
        ("feature_type", [JsonValueKind.String]), ("jsNodeId", [JsonValueKind.String]), ("clerp", [JsonValueKind.String]),
    ];

    private static readonly (string Member, JsonValueKind[] Kinds)[] Link =
        [("source", [JsonValueKind.String]), ("target", [JsonValueKind.String]), ("weight", [JsonValueKind.Number])];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Neuronpedia_gets_what_its_schema_and_its_page_ask_for(bool withEdges)
    {
        CircuitGraph graph = CircuitGraph.Of(Sheet, Sweep);
        JsonElement root = Json(withEdges ? graph with { Edges = [.. graph.EveryEdge().Select((edge, index) => edge with { Score = index })] } : graph, NeuronpediaFile.Write);
        JsonElement[] nodes = [.. root.GetProperty("nodes").EnumerateArray()], links = [.. root.GetProperty("links").EnumerateArray()];
        HasAll(root.GetProperty("metadata"), Metadata);
        Assert.Equal(JsonValueKind.Object, root.GetProperty("qParams").ValueKind);
        Assert.All(nodes, node => HasAll(node, NodeOfNeuronpedia));
        Assert.All(links, link => HasAll(link, Link));

        // utils.ts, formatCLTGraphData: a layer above 0 must be there, a logit's name must hold its probability, and links without both ends are dropped.
        Assert.True(nodes.Where(node => Text(node, "feature_type") != "logit" && Text(node, "layer") != "E").Max(node => int.Parse(Text(node, "layer"))) > 0);
        Assert.Single(nodes, node => Text(node, "feature_type") == "logit" && Text(node, "clerp").Contains("(p=1.000)", StringComparison.Ordinal));
        string[] ids = [.. nodes.Select(node => Text(node, "node_id"))];
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.NotEmpty(links);
        Assert.All(links, link => Assert.All((string[])["source", "target"], end => Assert.Contains(Text(link, end), ids)));

        string[] pinned = [.. root.GetProperty("qParams").GetProperty("pinnedIds").EnumerateArray().Select(id => id.GetString()!)];
        Assert.Equal(Sheet.Circuit.Nodes.Count + 1, pinned.Length);
        Assert.All(pinned, id => Assert.Contains(id, ids));
        RankedNode strongest = Sheet.Ranking[0];
        JsonElement found = nodes.Single(node => Text(node, "clerp") == strongest.Node.ToString());
        Assert.Equal(strongest.Effect, found.GetProperty("activation").GetDouble());
        if (!withEdges)
        {
            Assert.Equal(strongest.Effect, links.Single(link => Text(link, "source") == Text(found, "node_id")).GetProperty("weight").GetDouble());
        }
    }

    [Fact]
    public void CircuitKIT_gets_scores_that_it_does_not_refuse()
    {
        JsonElement root = Json(CircuitGraph.Of(Sheet, Sweep), CircuitKitFile.Write);
        // artifacts/scores.py, CircuitScores: from_dict passes every member on by name, so that another one is an error; scores are numbers from 0 on.
        string[] members = ["task", "model", "algorithm", "level", "node_scores", "timestamp", "version", "discovery_cfg"];
        Assert.Equal(members, root.EnumerateObject().Select(member => member.Name));
        Assert.Equal(("ioi", "ioi-demo", "eap-exact", "node", "1.0"), (Text(root, "task"), Text(root, "model"), Text(root, "algorithm"), Text(root, "level"), Text(root, "version")));
        Assert.Equal("2025-03-04T05:06:19.000000Z", Text(root, "timestamp"));
        JsonElement scores = root.GetProperty("node_scores");
        Assert.Equal((3 * 4) + 3, scores.EnumerateObject().Count());
        // api.py, _ib_name_to_graph_name: A(layer).(head) and MLP (layer).
        Assert.All(scores.EnumerateObject(), score => Assert.Matches(@"^(A\d+\.\d+|MLP \d+)$", score.Name));
        Assert.All(scores.EnumerateObject(), score => Assert.True(score.Value.GetDouble() >= 0));
        Assert.Equal(0.3, scores.GetProperty("MLP 0").GetDouble());
        Assert.Equal(Math.Abs(Sheet.Ranking.Single(ranked => ranked.Node == Node.OfHead(2, 1)).Effect), scores.GetProperty("A2.1").GetDouble());
    }

    private static void HasAll(JsonElement of, (string Member, JsonValueKind[] Kinds)[] members) =>
        Assert.All(members, member => Assert.Contains(of.GetProperty(member.Member).ValueKind, member.Kinds));

    private static string Text(JsonElement of, string member) => of.GetProperty(member).GetString()!;

    private static JsonElement Json(CircuitGraph graph, Action<CircuitGraph, Stream> write)
    {
        using var stream = new MemoryStream();
        write(graph, stream);
        return JsonDocument.Parse(Encoding.UTF8.GetString(stream.ToArray())).RootElement;
    }
}
