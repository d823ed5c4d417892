using System.Text.Json;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports.Circuits;

/// <summary>The files that are made of a proof sheet.</summary>
public static class CircuitFiles
{
    /// <summary>All of them, by name.</summary>
    public static IReadOnlyList<(string Name, Action<Stream> Write)> Of(ProofSheet sheet) =>
        [("circuit.json", to => JsonSerializer.Serialize(to, sheet, ResultJson.Indented))];
}
