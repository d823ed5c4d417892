using System.Text.Json.Serialization;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits;

/// <summary>How the effects of edges are found.</summary>
public enum EdgeMethod
{
    /// <summary>Every edge is patched.</summary>
    Exact,

    /// <summary>All are estimated from one gradient (EAP, Syed et al. 2023).</summary>
    Attribution,

    /// <summary>All are estimated from the mean of gradients between the two runs (EAP-IG with inputs, Hanna et al. 2024).</summary>
    AttributionIg,
}

/// <summary>How a sweep's edges were, or are to be, found.</summary>
/// <param name="Method">How.</param>
/// <param name="Steps">Of <see cref="EdgeMethod.AttributionIg"/> the gradients that the mean is of; 1 otherwise.</param>
/// <param name="Ungrouped">Whether receivers of keys and values are those of query heads, also where heads share them.</param>
public sealed record EdgeWork(EdgeMethod Method, int Steps, bool Ungrouped);

/// <summary>An edge with its effect over the pairs of a sweep.</summary>
/// <param name="Edge">The edge.</param>
/// <param name="PatchingEffect">Its effect, on the scale of a head's.</param>
/// <param name="StandardError">Its standard error; null with fewer than two pairs.</param>
/// <param name="ConfidenceInterval">Its 95 % interval; null with few pairs.</param>
public readonly record struct EdgeEffect(Edge Edge, double PatchingEffect, double? StandardError, ConfidenceInterval? ConfidenceInterval);

/// <summary>The effects of every edge, by columns: there are many.</summary>
public sealed record EdgeEffects
{
    /// <summary>How they were found.</summary>
    public required EdgeWork Found { get; init; }

    /// <summary>The edges, by receivers in the order in which they read.</summary>
    public required IReadOnlyList<Edge> Edges { get; init; }

    /// <summary>Their effects, in the same order.</summary>
    public required IReadOnlyList<double> PatchingEffect { get; init; }

    /// <summary>The standard errors; absent with fewer than two pairs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? StandardError { get; init; }

    /// <summary>The lower ends of the 95 % intervals; absent with few pairs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? Low { get; init; }

    /// <summary>The upper ends of the 95 % intervals; absent with few pairs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? High { get; init; }

    /// <summary>Each edge, in order.</summary>
    public IEnumerable<EdgeEffect> All() => Edges.Select((edge, index) => new EdgeEffect(
        edge, PatchingEffect[index], StandardError?[index], Low is null || High is null ? null : new ConfidenceInterval(Low[index], High[index])));

    /// <summary>The edges of largest |effect|, largest first; equals in order.</summary>
    public IEnumerable<EdgeEffect> Strongest() => All().OrderByDescending(edge => Math.Abs(edge.PatchingEffect));

    /// <summary>Brings pairs together, as a sweep does for heads.</summary>
    /// <param name="found">How they were found.</param>
    /// <param name="edges">The edges.</param>
    /// <param name="runs">A run, or an estimate of it, of each edge on each pair.</param>
    /// <param name="indices">The pairs' indices, in order.</param>
    /// <param name="aggregation">How pairs come together.</param>
    /// <param name="direction">Which run was patched.</param>
    public static EdgeEffects Of(EdgeWork found, IReadOnlyList<Edge> edges, PatchSetRuns runs, IReadOnlyList<int> indices, Aggregation aggregation, Direction direction)
    {
        var over = new EffectOverPairs(aggregation, direction, indices.Zip(runs.Baselines));
        PooledEffect[] pooled = [.. runs.Patched.Select(metric => PatchedSet.Pooled(over, runs.Baselines, indices, metric))];
        return new EdgeEffects
        {
            Found = found,
            Edges = edges,
            PatchingEffect = [.. pooled.Select(one => one.Effect)],
            StandardError = pooled.All(one => one.StandardError is not null) ? [.. pooled.Select(one => one.StandardError!.Value)] : null,
            Low = pooled.All(one => one.Interval is not null) ? [.. pooled.Select(one => one.Interval!.Value.Low)] : null,
            High = pooled.All(one => one.Interval is not null) ? [.. pooled.Select(one => one.Interval!.Value.High)] : null,
        };
    }
}
