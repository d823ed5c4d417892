using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace HeadPatching.Core.Circuits.Exchange;

/// <summary>
/// The attribution graph that neuronpedia.org draws, version 1.0.0 of its schema (apps/webapp/app/api/graph/graph-schema.json in
/// github.com/hijohnnylin/neuronpedia), with what its page asks for beyond that (<c>formatCLTGraphData</c> in apps/webapp/app/[modelId]/graph/utils.ts).
/// That is a graph of features on one prompt; here nodes are heads and MLPs over many, so that all stand at one token, "all positions".
/// </summary>
public static partial class NeuronpediaFile
{
    /// <summary>
    /// Writes it: every node that was measured, those of the circuit pinned. Links are the edges of the circuit, a head's three inputs added up; where
    /// nodes were measured, one from each to the logits, with the node's effect.
    /// </summary>
    public static void Write(CircuitGraph graph, Stream to)
    {
        CircuitModel model = graph.Model;
        string metric = graph.Metric.Length == 0 ? "metric" : graph.Metric;
        string logits = string.Create(CultureInfo.InvariantCulture, $"{model.Layers}_0_0");
        string title = string.Join(", ", ((string[])[model.Name, graph.Task]).Where(part => part.Length > 0));
        GraphNode[] measured = [.. graph.Nodes.Where(node => node.Score is not null)];
        GraphNode[] shown = measured.Length > 0 ? measured : [.. graph.Found];
        var nodes = shown.Where(node => node.Node.Kind != NodeKind.Embedding).Select(node => (object)new
        {
            node_id = IdOf(node.Node),
            feature = FeatureOf(node.Node),
            layer = node.Node.Layer.ToString(CultureInfo.InvariantCulture),
            ctx_idx = 0,
            feature_type = node.Node.Kind == NodeKind.Head ? "attention head" : "mlp",
            jsNodeId = string.Create(CultureInfo.InvariantCulture, $"{node.Node.Layer}_{FeatureOf(node.Node)}-0"),
            clerp = node.Node.ToString(),
            influence = (double?)null,
            activation = node.Score,
        });
        var file = new
        {
            metadata = new
            {
                slug = NotInSlug().Replace($"{model.Name}-{graph.Task}-circuit".ToLowerInvariant(), "-").Trim('-'),
                scan = model.Name,
                prompt_tokens = (string[])["all positions"],
                prompt = title,
                info = new
                {
                    description = graph.Words,
                    generator = new { name = "HeadPatching" },
                    create_time_ms = graph.At?.ToUnixTimeMilliseconds() ?? 0,
                },
                generation_settings = new { metric, score = "effect of patching the node alone" },
            },
            qParams = new { linkType = "both", pinnedIds = graph.Found.Select(node => IdOf(node.Node)).Append(logits), clickedId = "", supernodes = (string[])[], sg_pos = "" },
            nodes = (object[])
            [
                new { node_id = IdOf(Node.Embedding), feature = 0, layer = "E", ctx_idx = 0, feature_type = "embedding", jsNodeId = "E_0-0", clerp = "embed" },
                .. nodes,
                // Its page looks for a probability in the name of a logit, and stops without.
                new { node_id = logits, feature = 0, layer = model.Layers.ToString(CultureInfo.InvariantCulture), ctx_idx = 0, feature_type = "logit", jsNodeId = $"{model.Layers}_0-0", clerp = $"Output \"{metric}\" (p=1.000)", token_prob = 1.0, is_target_logit = true },
            ],
            links = graph.Edges.Count > 0
                ? graph.Edges.Where(edge => edge.InCircuit)
                    .GroupBy(edge => (edge.Edge.Sender, Reader: CircuitGraph.NodeOf(edge.Edge.Receiver)))
                    .Select(edges => new { source = IdOf(edges.Key.Sender), target = edges.Key.Reader is Node reader ? IdOf(reader) : logits, weight = edges.Sum(edge => edge.Score ?? 0) })
                : measured.Select(node => new { source = IdOf(node.Node), target = logits, weight = node.Score!.Value }),
        };
        JsonSerializer.Serialize(to, file, PythonJson.Options);

        int FeatureOf(Node node) => node.Kind == NodeKind.Head ? node.Head : model.Heads; // an MLP's number comes after those of its layer's heads

        string IdOf(Node node) => node.Kind == NodeKind.Embedding ? "E_0_0" : string.Create(CultureInfo.InvariantCulture, $"{node.Layer}_{FeatureOf(node)}_0");
    }

    [GeneratedRegex("[^a-z0-9]+")]
    private static partial Regex NotInSlug();
}
