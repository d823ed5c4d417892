using System.Text.Json.Serialization;

namespace HeadPatching.Http.Answers;

/// <summary>An application/problem+json answer (RFC 9457), as the OpenAPI document describes it.</summary>
/// <param name="Type">What kind of problem it is; stable, so that programs can go by it.</param>
/// <param name="Title">The kind of problem in words.</param>
/// <param name="Status">The HTTP status.</param>
/// <param name="Detail">What to do.</param>
/// <param name="Errors">Every fault of the input, where that is the problem; at most 100.</param>
public sealed record ProblemAnswer(
    string Type,
    string Title,
    int Status,
    string Detail,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<FaultAnswer>? Errors = null);
