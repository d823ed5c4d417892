using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits.Exchange;

/// <summary>
/// The graph of EAP-IG as JSON, which MIB's circuit track takes as well: the model's shape, its nodes (<c>input</c>, <c>a9.h6</c>, <c>m3</c>, <c>logits</c>)
/// and edges (<c>a0.h1->a9.h6&lt;q></c>), each with whether it is in the circuit (<c>in_graph</c>) and a score. The form is that of <c>Graph.to_json</c> and
/// <c>Graph.from_json</c> in github.com/hannamw/EAP-IG (src/eap/graph.py), of which github.com/hannamw/MIB-circuit-track has a copy.
/// </summary>
public static partial class EapIgFile
{
    /// <summary>A larger file is not read: a graph of 32 layers of 32 heads has 1.6 million edges in 100 MB.</summary>
    private const int MostBytes = 512 << 20;

    /// <summary>So many faults are named one by one.</summary>
    private const int MostFaults = 20;

    private const string Input = "input";
    private const string Logits = "logits";

    /// <summary>Whether the model's shape is known well enough: its reader asks for d_model, and for how attention and MLP stand.</summary>
    public static bool CanHold(CircuitGraph graph) => graph.Model is { Width: not null, ParallelResidual: not null };

    /// <summary>
    /// Writes it. Nodes that were not measured are in the graph and have no score, which its reader takes for what stays in every circuit. An edge that
    /// was not measured has score 0, for its reader asks for one, and is there only if it is in the circuit: to its reader, what is missing is out of it.
    /// An edge whose score has an interval says its ends (<c>low</c>, <c>high</c>); where only some edges were patched, or on some pairs, each says on how many
    /// (<c>pairs</c>), and what was decided of it (<c>decision</c>): members that its reader, which asks for <c>score</c> and <c>in_graph</c> of an edge by name, passes by.
    /// </summary>
    public static void Write(CircuitGraph graph, Stream to)
    {
        CircuitModel model = graph.Model;
        using var json = new Utf8JsonWriter(to);
        json.WriteStartObject();
        json.WriteStartObject("cfg");
        json.WriteNumber("n_layers", model.Layers);
        json.WriteNumber("n_heads", model.Heads);
        json.WriteBoolean("parallel_attn_mlp", model.ParallelResidual == true);
        json.WriteNumber("d_model", model.Width ?? 0);
        json.WriteEndObject();
        json.WriteStartObject("nodes");
        foreach (GraphNode node in graph.Nodes)
        {
            WriteMember(NameOf(node.Node), node.InCircuit, node.Score);
        }

        WriteMember(Logits, inCircuit: true, score: null);
        json.WriteEndObject();
        json.WriteStartObject("edges");
        foreach (GraphEdge edge in graph.EveryEdge().Where(edge => edge.InCircuit || edge.Score is not null))
        {
            WriteMember(NameOf(edge.Edge), edge.InCircuit, edge.Score ?? 0, edge.Interval, edge.Pairs, edge.Decision);
        }

        json.WriteEndObject();
        json.WriteEndObject();

        void WriteMember(string name, bool inCircuit, double? score, ConfidenceInterval? interval = null, int? pairs = null, Decision? decision = null)
        {
            json.WriteStartObject(name);
            if (score is double number)
            {
                json.WriteNumber("score", number);
            }

            json.WriteBoolean("in_graph", inCircuit);
            if (interval is { } within)
            {
                json.WriteNumber("low", within.Low);
                json.WriteNumber("high", within.High);
            }

            if (pairs is int count)
            {
                json.WriteNumber("pairs", count);
            }

            if (decision is not null)
            {
                json.WriteString("decision", decision.Value.NameOf());
            }

            json.WriteEndObject();
        }
    }

    /// <summary>
    /// Reads it. Where edges are in the graph, they decide which nodes are, as when EAP-IG evaluates it (<c>Graph.prune</c>): a node that none of them
    /// leaves, or none reaches, is not. Where none is, nodes are as the file says. An edge's interval, pairs and decision are read where they are as <see cref="Write"/> has them;
    /// as they are no part of EAP-IG's form, anything else by their names is passed by.
    /// </summary>
    /// <param name="from">The file.</param>
    /// <param name="where">What to call it in an error.</param>
    /// <exception cref="InvalidInputException">It is no such graph; carries the faults.</exception>
    public static CircuitGraph Read(Stream from, string where)
    {
        var faults = new List<Fault>();
        using JsonDocument document = Parse(from, where);
        JsonElement root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new InvalidInputException(FaultKinds.Malformed, where, "A graph of EAP-IG is an object with cfg, nodes and edges.");
        }

        bool hasCfg = TryObject(root, "cfg", out JsonElement cfg), hasNodes = TryObject(root, "nodes", out JsonElement nodes), hasEdges = TryObject(root, "edges", out JsonElement edges);
        int layers = hasCfg ? Size(cfg, "n_layers", 1000) : 0, heads = hasCfg ? Size(cfg, "n_heads", 1000) : 0;
        bool? parallel = hasCfg && cfg.TryGetProperty("parallel_attn_mlp", out JsonElement value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null;
        if (hasCfg && parallel is null)
        {
            Add(FaultKinds.Missing, "cfg.parallel_attn_mlp", "It is true where attention and MLP of a block stand side by side, or false.");
        }

        if (faults.Count > 0)
        {
            throw new InvalidInputException(faults);
        }

        var model = new CircuitModel(cfg.TryGetProperty("model_name", out JsonElement name) && name.ValueKind == JsonValueKind.String ? name.GetString()! : "", layers, heads)
        {
            ParallelResidual = parallel,
            Width = cfg.TryGetProperty("d_model", out JsonElement width) && width.ValueKind == JsonValueKind.Number && width.TryGetInt32(out int number) ? number : null,
        };
        Dictionary<Node, GraphNode> read = hasNodes ? Nodes(nodes) : [];
        GraphEdge[] readEdges = hasEdges ? [.. Edges(edges)] : [];
        if (faults.Count > 0)
        {
            int more = faults.Count - MostFaults;
            throw new InvalidInputException(
                more <= 0 ? faults : [.. faults.Take(MostFaults), new Fault(FaultKinds.Malformed, where, $"And {more} more faults like these.")]);
        }

        IReadOnlyList<GraphNode> all = [.. model.Nodes.Select(node => read.GetValueOrDefault(node, new GraphNode(node, null, InCircuit: false)))];
        return readEdges.Any(edge => edge.InCircuit) ? new CircuitGraph(model, all, readEdges).Pruned() : new CircuitGraph(model, all, []);

        bool TryObject(JsonElement of, string member, out JsonElement found)
        {
            bool has = of.TryGetProperty(member, out found) && found.ValueKind == JsonValueKind.Object;
            if (!has)
            {
                Add(FaultKinds.Missing, member, "A graph of EAP-IG is an object with cfg, nodes and edges, objects all three.");
            }

            return has;
        }

        int Size(JsonElement of, string member, int most)
        {
            if (of.TryGetProperty(member, out JsonElement size) && size.ValueKind == JsonValueKind.Number && size.TryGetInt32(out int whole) && whole >= 1 && whole <= most)
            {
                return whole;
            }

            Add(FaultKinds.Malformed, $"cfg.{member}", $"It is a whole number from 1 to {most}.");
            return 0;
        }

        Dictionary<Node, GraphNode> Nodes(JsonElement members)
        {
            var found = new Dictionary<Node, GraphNode>();
            foreach (JsonProperty member in members.EnumerateObject())
            {
                string at = $"nodes.{member.Name}";
                if (member.Name == Logits)
                {
                    continue; // they are no node, and always there
                }

                if (!TryNode(member.Name, out Node node) || !model.Has(node))
                {
                    Add(FaultKinds.OutOfRange, at, $"It is no node of {layers} layers of {heads} heads: those are input, a0.h0 to a{layers - 1}.h{heads - 1}, m0 to m{layers - 1} and logits.");
                }
                else if (member.Value.ValueKind == JsonValueKind.Object && member.Value.TryGetProperty("neurons", out _))
                {
                    Add(FaultKinds.Malformed, $"{at}.neurons", "A circuit of single neurons is not read: nodes are whole here.");
                }
                else
                {
                    // Earlier versions wrote whether it is in the graph, and nothing else.
                    bool plain = member.Value.ValueKind is JsonValueKind.True or JsonValueKind.False;
                    var (inGraph, score) = plain ? (member.Value.GetBoolean(), null) : InGraph(member.Value, at);
                    found[node] = new GraphNode(node, score, inGraph);
                }
            }

            return found;
        }

        IEnumerable<GraphEdge> Edges(JsonElement members)
        {
            foreach (JsonProperty member in members.EnumerateObject())
            {
                string at = $"edges.{member.Name}";
                if (!TryEdge(member.Name, out Edge edge))
                {
                    Add(FaultKinds.Malformed, at, "An edge is a sender, -> and a reader, such as a0.h1->a9.h6<q> (q, k or v where a head reads), m3->m5 or input->logits.");
                }
                else if (!model.Has(edge))
                {
                    Add(FaultKinds.OutOfRange, at, $"The model of {layers} layers of {heads} heads{(parallel == true ? ", attention and MLP side by side," : "")} has no such edge: one of its ends is not there, or it reads before it is written.");
                }
                else
                {
                    var (inGraph, score) = InGraph(member.Value, at);
                    yield return new GraphEdge(edge, score, inGraph)
                    {
                        Interval = NumberOf(member.Value, "low") is double low && NumberOf(member.Value, "high") is double high ? new ConfidenceInterval(low, high) : null,
                        Pairs = NumberOf(member.Value, "pairs") is double pairs && pairs >= 0 && pairs <= int.MaxValue && pairs == (int)pairs ? (int)pairs : null,
                        Decision = member.Value.ValueKind == JsonValueKind.Object && member.Value.TryGetProperty("decision", out JsonElement said) && said.ValueKind == JsonValueKind.String
                            ? Enum.GetValues<Decision>().Select(one => (Decision?)one).FirstOrDefault(one => said.ValueEquals(one!.Value.NameOf())) : null,
                    };
                }
            }
        }

        double? NumberOf(JsonElement member, string named) =>
            member.ValueKind == JsonValueKind.Object && member.TryGetProperty(named, out JsonElement value) && value.ValueKind == JsonValueKind.Number && double.IsFinite(value.GetDouble()) ? value.GetDouble() : null;

        (bool InGraph, double? Score) InGraph(JsonElement member, string at)
        {
            if (member.ValueKind != JsonValueKind.Object || !member.TryGetProperty("in_graph", out JsonElement inGraph) || inGraph.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            {
                Add(FaultKinds.Missing, $"{at}.in_graph", "It is true where this is in the circuit, or false.");
                return default;
            }

            if (!member.TryGetProperty("score", out JsonElement score) || score.ValueKind == JsonValueKind.Null)
            {
                return (inGraph.GetBoolean(), null);
            }

            if (score.ValueKind != JsonValueKind.Number || !double.IsFinite(score.GetDouble()))
            {
                Add(FaultKinds.Malformed, $"{at}.score", "It is a number.");
                return default;
            }

            return (inGraph.GetBoolean(), score.GetDouble());
        }

        void Add(string kind, string at, string message) => faults.Add(new Fault(kind, $"{where}: {at}", message));
    }

    // Python writes NaN for the score of what has none, which JSON does not know.
    private static JsonDocument Parse(Stream from, string where)
    {
        using var read = new MemoryStream();
        byte[] buffer = new byte[1 << 16];
        for (int count = from.Read(buffer); count > 0; count = from.Read(buffer))
        {
            if (read.Length + count > MostBytes)
            {
                throw new InvalidInputException(FaultKinds.TooLarge, where, $"It is larger than {MostBytes >> 20} MB: a graph of so many edges is not read.");
            }

            read.Write(buffer, 0, count);
        }

        ReadOnlyMemory<byte> json = read.GetBuffer().AsMemory(0, (int)read.Length);
        if (json.Span.IndexOf("NaN"u8) >= 0 || json.Span.IndexOf("Infinity"u8) >= 0)
        {
            json = WithoutNotFinite(json.Span);
        }

        try
        {
            return JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException exception)
        {
            throw new InvalidInputException(FaultKinds.Malformed, where, $"This is not JSON: {exception.Message}");
        }
    }

    /// <summary>The same with null for NaN, and with what is no number for infinities, outside of texts.</summary>
    private static byte[] WithoutNotFinite(ReadOnlySpan<byte> json)
    {
        using var plain = new MemoryStream(json.Length);
        bool inText = false;
        for (int at = 0; at < json.Length; at++)
        {
            if (json[at] == '"')
            {
                inText = !inText;
            }
            else if (inText && json[at] == '\\')
            {
                plain.WriteByte(json[at]);
                at++;
            }
            else if (!inText && json[at..].StartsWith("NaN"u8))
            {
                plain.Write("null"u8);
                at += 2;
                continue;
            }
            else if (!inText && json[at..].StartsWith("Infinity"u8))
            {
                plain.Write("1e999"u8); // a number that no double holds: it is refused with its place
                at += 7;
                continue;
            }

            if (at < json.Length)
            {
                plain.WriteByte(json[at]);
            }
        }

        return plain.ToArray();
    }

    private static string NameOf(Node node) => node.Kind switch
    {
        NodeKind.Embedding => Input,
        NodeKind.Head => string.Create(CultureInfo.InvariantCulture, $"a{node.Layer}.h{node.Head}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"m{node.Layer}"),
    };

    private static string NameOf(Edge edge)
    {
        string sender = NameOf(edge.Sender);
        return CircuitGraph.NodeOf(edge.Receiver) is not Node reader ? $"{sender}->{Logits}"
            : reader.Kind == NodeKind.Head ? $"{sender}->{NameOf(reader)}<{edge.Receiver.Input!.Value.ToString().ToLowerInvariant()}>"
            : $"{sender}->{NameOf(reader)}";
    }

    private static bool TryNode(string text, out Node node)
    {
        node = Node.Embedding;
        Match match = NodeName().Match(text);
        if (!match.Success)
        {
            return text == Input;
        }

        node = match.Groups["head"].Success ? Node.OfHead(Number("layer"), Number("head")) : Node.OfMlp(Number("layer"));
        return true;

        int Number(string group) => int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);
    }

    private static bool TryEdge(string text, out Edge edge)
    {
        edge = default;
        string[] ends = text.Split("->");
        if (ends.Length != 2 || !TryNode(ends[0], out Node sender))
        {
            return false;
        }

        Match input = HeadInput().Match(ends[1]);
        string reader = input.Success ? ends[1][..^input.Length] : ends[1];
        if (reader == Logits && !input.Success)
        {
            edge = new Edge(sender, Receiver.Logits);
            return true;
        }

        if (!TryNode(reader, out Node node) || node.Kind == NodeKind.Embedding || input.Success != (node.Kind == NodeKind.Head))
        {
            return false;
        }

        edge = new Edge(sender, input.Success ? Receiver.Of(node.Layer, node.Head, Enum.Parse<ReceiverInput>(input.Groups[1].Value, ignoreCase: true)) : Receiver.OfMlp(node.Layer));
        return true;
    }

    [GeneratedRegex(@"\A(a(?<layer>[0-9]{1,4})\.h(?<head>[0-9]{1,4})|m(?<layer>[0-9]{1,4}))\z", RegexOptions.CultureInvariant)]
    private static partial Regex NodeName();

    [GeneratedRegex(@"<([qkv])>\z", RegexOptions.CultureInvariant)]
    private static partial Regex HeadInput();
}
