using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits.Exchange;

/// <summary>What files of circuits say of a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Layers">Number of layers.</param>
/// <param name="Heads">Heads a layer.</param>
public sealed record CircuitModel(string Name, int Layers, int Heads)
{
    /// <summary>Key/value heads a layer; null: as many as heads.</summary>
    public int? KeyValueHeads { get; init; }

    /// <summary>d_model; null where it is not known.</summary>
    public int? Width { get; init; }

    /// <summary>Whether attention and MLP of a block stand side by side; null where it is not known.</summary>
    public bool? ParallelResidual { get; init; }

    /// <summary>Every node, in the order in which they write.</summary>
    public IEnumerable<Node> Nodes => Node.All(Shape);

    /// <summary>
    /// Every edge, counted as EAP-IG does: keys and values of each head are a receiver of their own, also where heads share them
    /// (<see cref="Edge.All"/>, ungrouped).
    /// </summary>
    public IEnumerable<Edge> Edges => Edge.All(Shape, ungrouped: true);

    /// <summary>Every edge as a sweep runs them: keys and values are those of key/value heads, or ungrouped those of query heads.</summary>
    /// <param name="ungrouped">Which.</param>
    public IEnumerable<Edge> EdgesOf(bool ungrouped) => Edge.All(Shape with { KeyValueHeads = KeyValueHeads ?? Heads }, ungrouped);

    // As much of a model's configuration as its nodes and edges follow from; nothing is run with it.
    private ModelConfig Shape => new()
    {
        Family = "",
        Layers = Layers,
        Heads = Heads,
        KeyValueHeads = Heads,
        HeadWidth = 0,
        Width = 0,
        MlpWidth = 0,
        Context = 0,
        Vocabulary = 0,
        NormEpsilon = 0,
        Activation = default,
        TiedUnembedding = false,
        ParallelResidual = ParallelResidual == true,
    };

    /// <summary>The model of a result.</summary>
    public static CircuitModel Of(ModelSummary model) => new(model.Name, model.Layers, model.Heads)
    {
        KeyValueHeads = model.KeyValueHeads,
        Width = model.Width,
        ParallelResidual = model.ParallelResidual,
    };

    /// <summary>Whether a model has the node.</summary>
    public bool Has(Node node) => node.IsOf(Shape);

    /// <summary>Whether a model has the edge.</summary>
    public bool Has(Edge edge) => Has(edge.Sender) && edge.Receiver.Layer < Layers && edge.Receiver.Head < Heads && edge.Receiver.Reads(edge.Sender, Shape);
}

/// <summary>A node of a graph.</summary>
/// <param name="Node">The node.</param>
/// <param name="Score">How much it matters; null where that was not measured.</param>
/// <param name="InCircuit">Whether it is in the circuit. What was not measured is left to itself and so is in it.</param>
public readonly record struct GraphNode(Node Node, double? Score, bool InCircuit);

/// <summary>An edge of a graph. Keys and values are those of a query head, also where heads share them.</summary>
/// <param name="Edge">The edge.</param>
/// <param name="Score">How much it matters; null where that was not measured.</param>
/// <param name="InCircuit">Whether it is in the circuit.</param>
public readonly record struct GraphEdge(Edge Edge, double? Score, bool InCircuit)
{
    /// <summary>The interval of its score; null where there is none.</summary>
    public ConfidenceInterval? Interval { get; init; }

    /// <summary>On how many pairs it was patched, where not all were on all: 0 where its score is an estimate.</summary>
    public int? Pairs { get; init; }

    /// <summary>Whether it is above a threshold, where that was to be decided.</summary>
    public Decision? Decision { get; init; }
}

/// <summary>A circuit as other programs read and write it: the whole model as a graph, and what of it is in the circuit.</summary>
/// <param name="Model">The model.</param>
/// <param name="Nodes">All of its nodes, in the order in which they write.</param>
/// <param name="Edges">Edges that were measured; none where nodes were, and then all between nodes of the circuit are in it.</param>
public sealed record CircuitGraph(CircuitModel Model, IReadOnlyList<GraphNode> Nodes, IReadOnlyList<GraphEdge> Edges)
{
    /// <summary>What the circuit does: the name of a dataset; empty where none is known.</summary>
    public string Task { get; init; } = "";

    /// <summary>The metric that scores are shares of; empty where none is known.</summary>
    public string Metric { get; init; } = "";

    /// <summary>What is known of it, in words; empty where nothing is.</summary>
    public string Words { get; init; } = "";

    /// <summary>When scores were measured.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>The nodes in the circuit.</summary>
    public IReadOnlyList<Node> Circuit => [.. Nodes.Where(node => node.InCircuit).Select(node => node.Node)];

    /// <summary>The nodes in the circuit that were measured; all in it where none was.</summary>
    public IReadOnlyList<GraphNode> Found
    {
        get
        {
            GraphNode[] measured = [.. Nodes.Where(node => node.InCircuit && node.Score is not null)];
            return measured.Length > 0 ? measured : [.. Nodes.Where(node => node.InCircuit)];
        }
    }

    /// <summary>The circuit that a proof sheet found.</summary>
    /// <param name="sheet">The sheet.</param>
    /// <param name="of">One of the sweeps that ranked its nodes.</param>
    public static CircuitGraph Of(ProofSheet sheet, SweepResult of)
    {
        CircuitModel model = CircuitModel.Of(of.Model);
        Dictionary<Node, double> scores = sheet.Ranking.ToDictionary(ranked => ranked.Node, ranked => ranked.Effect);
        HashSet<Node> found = [.. sheet.Circuit.Nodes.Select(node => node.Node)];
        return new CircuitGraph(
            model,
            [.. model.Nodes.Select(node => scores.TryGetValue(node, out double score) ? new GraphNode(node, score, found.Contains(node)) : new GraphNode(node, null, InCircuit: true))],
            [])
        {
            Task = of.Dataset.Name,
            Metric = of.Metric,
            Words = string.Join(' ', sheet.Verdict),
            At = of.Timings.FinishedAt,
        };
    }

    /// <summary>The circuit of the strongest of some edges, less what does not hang together (<see cref="Pruned"/>).</summary>
    /// <param name="model">The model.</param>
    /// <param name="edges">Edges with their effects.</param>
    /// <param name="strongest">How many of them, whichever way they pull.</param>
    /// <param name="ungrouped">
    /// Whether keys and values are those of query heads. If not, those of a key/value head are those of all heads that share it, each with the effect
    /// of all together.
    /// </param>
    public static CircuitGraph Of(CircuitModel model, IReadOnlyList<EdgeEffect> edges, int strongest, bool ungrouped)
    {
        var sorted = edges.Index().OrderByDescending(one => Math.Abs(one.Item.PatchingEffect)).ThenBy(one => one.Index);
        GraphEdge[] all =
        [
            .. sorted.Select((one, place) => (one.Item, InCircuit: place < strongest)).SelectMany(one => Ungrouped(one.Item.Edge).Select(edge =>
                new GraphEdge(edge, one.Item.PatchingEffect, one.InCircuit) { Interval = one.Item.ConfidenceInterval, Pairs = one.Item.Pairs, Decision = one.Item.Decision })),
        ];
        return new CircuitGraph(model, [.. model.Nodes.Select(node => new GraphNode(node, null, InCircuit: false))], all).Pruned();

        IEnumerable<Edge> Ungrouped(Edge edge)
        {
            int sharing = model.Heads / (model.KeyValueHeads ?? model.Heads);
            return ungrouped || sharing == 1 || edge.Receiver.Input is not (ReceiverInput.K or ReceiverInput.V)
                ? [edge]
                : Enumerable.Range(edge.Receiver.Head * sharing, sharing).Select(head => edge with { Receiver = Receiver.Of(edge.Receiver.Layer, head, edge.Receiver.Input.Value) });
        }
    }

    /// <summary>
    /// Its edges decide which nodes are in the circuit: those that an edge in it reaches and an edge in it leaves, and of edges those between such nodes,
    /// until nothing changes (as <c>Graph.prune</c> of EAP-IG). The embedding need not be reached; the logits are always there.
    /// </summary>
    public CircuitGraph Pruned()
    {
        Edge[] inside = [.. Edges.Where(edge => edge.InCircuit).Select(edge => edge.Edge)];
        HashSet<Node> connected;
        int before;
        do
        {
            before = inside.Length;
            connected = [.. inside.Select(edge => edge.Sender)];
            connected.IntersectWith([Node.Embedding, .. inside.Select(edge => NodeOf(edge.Receiver)).OfType<Node>()]);
            inside = [.. inside.Where(IsInside)];
        }
        while (inside.Length < before);

        return this with
        {
            Nodes = [.. Nodes.Select(node => node with { InCircuit = connected.Contains(node.Node) })],
            Edges = [.. Edges.Select(edge => edge with { InCircuit = edge.InCircuit && IsInside(edge.Edge) })],
        };

        bool IsInside(Edge edge) => connected.Contains(edge.Sender) && (NodeOf(edge.Receiver) is not Node reader || connected.Contains(reader));
    }

    /// <summary>The circuit's nodes as a set to patch, at all positions.</summary>
    public PatchSet AsPatchSet() => PatchSet.Of(Circuit);

    /// <summary>
    /// All other nodes as a set to patch, at all positions: noised with these, a clean run keeps the circuit alone (<see cref="CircuitProof"/>).
    /// </summary>
    public PatchSet OthersAsPatchSet() => PatchSet.Of(Nodes.Where(node => !node.InCircuit).Select(node => node.Node));

    /// <summary>Every edge of the model: as it was measured, or in the circuit if both of its ends are.</summary>
    public IEnumerable<GraphEdge> EveryEdge()
    {
        Dictionary<Edge, GraphEdge> measured = Edges.ToDictionary(edge => edge.Edge);
        HashSet<Node> circuit = [.. Circuit];
        return Model.Edges.Select(edge => measured.TryGetValue(edge, out GraphEdge known)
            ? known
            : new GraphEdge(edge, null, measured.Count == 0 && circuit.Contains(edge.Sender) && (NodeOf(edge.Receiver) is not Node reader || circuit.Contains(reader))));
    }

    /// <summary>The node that reads through a receiver; null for the logits, which are none.</summary>
    public static Node? NodeOf(Receiver receiver) =>
        receiver.IsLogits ? null : receiver.Input == ReceiverInput.Mlp ? Node.OfMlp(receiver.Layer) : Node.OfHead(receiver.Layer, receiver.Head);
}
