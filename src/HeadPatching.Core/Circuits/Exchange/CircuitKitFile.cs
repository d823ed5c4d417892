using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace HeadPatching.Core.Circuits.Exchange;

/// <summary>
/// The scores of nodes that CircuitKIT reads (<c>CircuitScores</c> in src/circuitkit/artifacts/scores.py of github.com/Lexsi-Labs/CircuitKIT): heads are
/// <c>A9.6</c>, MLPs <c>MLP 8</c>, scores are not negative, and no other member may be there.
/// </summary>
public static class CircuitKitFile
{
    /// <summary>
    /// The one of the algorithms it knows that measures nodes by patching them, exactly and one by one, as here; another name would be refused.
    /// </summary>
    private const string Algorithm = "eap-exact";

    /// <summary>Writes the sizes of the measured nodes' effects; what else is known goes where it keeps its configuration.</summary>
    public static void Write(CircuitGraph graph, Stream to)
    {
        var file = new
        {
            task = graph.Task,
            model = graph.Model.Name,
            algorithm = Algorithm,
            level = "node",
            node_scores = graph.Nodes.Where(node => node.Node.Kind != NodeKind.Embedding && node.Score is not null)
                .ToDictionary(node => NameOf(node.Node), node => Math.Abs(node.Score!.Value)),
            timestamp = (graph.At ?? DateTimeOffset.UnixEpoch).UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture),
            version = "1.0",
            discovery_cfg = new
            {
                tool = "HeadPatching",
                metric = graph.Metric,
                score = "size of the effect of patching the node alone",
                circuit = graph.Found.Where(node => node.Node.Kind != NodeKind.Embedding).Select(node => NameOf(node.Node)),
                description = graph.Words,
            },
        };
        JsonSerializer.Serialize(to, file, PythonJson.Options);
    }

    private static string NameOf(Node node) =>
        node.Kind == NodeKind.Head ? string.Create(CultureInfo.InvariantCulture, $"A{node.Layer}.{node.Head}") : string.Create(CultureInfo.InvariantCulture, $"MLP {node.Layer}");
}

/// <summary>How files of others' formats are written: their members' names are as they stand.</summary>
internal static class PythonJson
{
    public static JsonSerializerOptions Options { get; } = new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
