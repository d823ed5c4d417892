using HeadPatching.Core.Prompts;

namespace HeadPatching.Sweeps.Plans;

/// <summary>How faults name the places of a request: by JSON path over HTTP, by option and line on the command line.</summary>
/// <param name="Option">The place of a property, from its JSON name: <c>positions</c>, or <c>--positions</c>.</param>
/// <param name="Pair">The place of a pair or of a property of it: <c>pairs[3].clean</c>, or <c>pairs.jsonl:4: clean</c>.</param>
public sealed record FaultPlaces(Func<string, string> Option, Func<int, string?, string> Pair)
{
    /// <summary>JSON paths within the request.</summary>
    public static FaultPlaces JsonPaths { get; } = new(property => property, PairTokenizer.PathUnder("pairs"));

    /// <summary>The place of a pair of the reference: <c>reference[3].corrupted</c>, or <c>abc.jsonl:4: corrupted</c>.</summary>
    public Func<int, string?, string> ReferencePair { get; init; } = PairTokenizer.PathUnder("reference");
}
