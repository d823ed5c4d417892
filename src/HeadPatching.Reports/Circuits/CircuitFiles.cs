using HeadPatching.Core.Circuits;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports.Circuits;

/// <summary>The files of a circuit beside circuit.json: a page, pictures, and what other programs read.</summary>
public static class CircuitFiles
{
    /// <summary>The self-contained page.</summary>
    public const string PageName = "circuit.html";

    /// <summary>All of them, in the order in which they are written and listed.</summary>
    /// <param name="sheet">The proof sheet.</param>
    /// <param name="of">One of the sweeps that ranked its nodes: its model, data and metric are named.</param>
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

        string[] beside = ["circuit.json", .. files.Select(file => file.Name)];
        return [(PageName, to => CircuitPage.Write(sheet, of, beside, to)), .. files];
    }
}
