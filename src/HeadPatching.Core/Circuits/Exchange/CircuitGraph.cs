using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Results;

namespace HeadPatching.Core.Circuits.Exchange;

/// <summary>What files of circuits say of a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Layers">Number of layers.</param>
/// <param name="Heads">Heads a layer.</param>
public sealed record CircuitModel(string Name, int Layers, int Heads)
{
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
    public static CircuitModel Of(ModelSummary model) => new(model.Name, model.Layers, model.Heads) { Width = model.Width, ParallelResidual = model.ParallelResidual };

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
public readonly record struct GraphEdge(Edge Edge, double? Score, bool InCircuit);

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
