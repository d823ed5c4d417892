using System.Text.Json;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports.Circuits;

/// <summary>The files of a circuit: the proof sheet, a page, pictures, and what other programs read.</summary>
public static class CircuitFiles
{
    /// <summary>The proof sheet.</summary>
    public const string SheetName = "circuit.json";

    /// <summary>The self-contained page.</summary>
    public const string PageName = "circuit.html";

    /// <summary>All of them, in the order in which they are written and listed.</summary>
    /// <param name="sheet">The proof sheet.</param>
    /// <param name="of">The sweep that it is of: its model, data and metric are named.</param>
    /// <returns>Names, and what writes each. Without EAP-IG's where the sweep is of before results noted as much of the model as its reader asks for.</returns>
    public static IReadOnlyList<(string Name, Action<Stream> Write)> Of(ProofSheet sheet, SweepResult of)
    {
        CircuitGraph graph = CircuitGraph.Of(sheet, of);
        var files = new List<(string Name, Action<Stream> Write)>
        {
            ("circuit.svg", to => CircuitPicture.WriteSvg(sheet, of, to)),
            ("faithfulness.svg", to => FaithfulnessPicture.WriteSvg(sheet, of, to)),
            ("circuit.dot", to => CircuitDot.Write(graph, to)),
            ("circuit.neuronpedia.json", to => NeuronpediaFile.Write(graph, to)),
            ("circuit.circuitkit.json", to => CircuitKitFile.Write(graph, to)),
        };
        if (EapIgFile.CanHold(graph))
        {
            files.Add(("circuit.eap-ig.json", to => EapIgFile.Write(graph, to)));
        }

        string[] beside = [SheetName, .. files.Select(file => file.Name)];
        return [(PageName, to => CircuitPage.Write(sheet, of, beside, to)), (SheetName, to => JsonSerializer.Serialize(to, sheet, ResultJson.Indented)), .. files];
    }

    /// <summary>The media type of one, as HTTP says it.</summary>
    /// <param name="name">Its name.</param>
    public static string ContentTypeOf(string name) => Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".svg" => "image/svg+xml",
        ".json" => "application/json",
        ".csv" => "text/csv; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
}
