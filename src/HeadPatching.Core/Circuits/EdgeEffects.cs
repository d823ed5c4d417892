using System.Globalization;
using System.Text.Json.Serialization;
using HeadPatching.Core.Adaptive;
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

    /// <summary>All are estimated, and the strongest of them patched.</summary>
    Screen,

    /// <summary>All are estimated, and each is patched on as many pairs as it takes to say whether its effect is above a threshold (<see cref="AdaptiveSweep"/>).</summary>
    Adaptive,
}

/// <summary>What methods are made of.</summary>
public static class EdgeMethods
{
    /// <summary>Whether there are estimates from several gradients.</summary>
    public static bool HasSteps(this EdgeMethod method) => method is EdgeMethod.AttributionIg or EdgeMethod.Screen or EdgeMethod.Adaptive;
}

/// <summary>How a sweep's edges were, or are to be, found.</summary>
/// <param name="Method">How.</param>
/// <param name="Steps">Where there are estimates, of how many gradients they are the mean; 1 otherwise.</param>
/// <param name="Ungrouped">Whether receivers of keys and values are those of query heads, also where heads share them.</param>
public sealed record EdgeWork(EdgeMethod Method, int Steps, bool Ungrouped)
{
    /// <summary>Of <see cref="EdgeMethod.Screen"/> how many edges are patched after the estimate.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Top { get; init; }

    /// <summary>Of <see cref="EdgeMethod.Adaptive"/> what effects are held against.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Threshold { get; init; }

    /// <summary>Of <see cref="EdgeMethod.Adaptive"/> the share of sweeps in which the intervals of all edges hold the effects over all pairs, in every round; so no decision is wrong.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Confidence { get; init; }

    /// <summary>The same edges, estimated.</summary>
    public EdgeWork Estimated() => new(Steps > 1 ? EdgeMethod.AttributionIg : EdgeMethod.Attribution, Steps, Ungrouped);

    /// <summary>The same edges, patched.</summary>
    public EdgeWork Patched() => new(EdgeMethod.Exact, 1, Ungrouped);
}

/// <summary>An edge with its effect over the pairs of a sweep.</summary>
/// <param name="Edge">The edge.</param>
/// <param name="PatchingEffect">Its effect, on the scale of a head's.</param>
/// <param name="StandardError">Its standard error; null with fewer than two pairs, and of adaptive edges.</param>
/// <param name="ConfidenceInterval">Its 95 % interval, or of adaptive edges that which holds with those of all others; null with few pairs.</param>
public readonly record struct EdgeEffect(Edge Edge, double PatchingEffect, double? StandardError, ConfidenceInterval? ConfidenceInterval)
{
    /// <summary>Where not all edges were patched on all pairs, on how many this one was: 0 where its effect is an estimate.</summary>
    public int? Pairs { get; init; }

    /// <summary>Its estimate over all pairs, where it may have been patched as well.</summary>
    public double? EstimatedEffect { get; init; }

    /// <summary>Of adaptive edges whether it is above the threshold.</summary>
    public Decision? Decision { get; init; }
}

/// <summary>The effects of every edge, by columns: there are many.</summary>
public sealed record EdgeEffects
{
    /// <summary>How they were found.</summary>
    public required EdgeWork Found { get; init; }

    /// <summary>The edges, by receivers in the order in which they read.</summary>
    public required IReadOnlyList<Edge> Edges { get; init; }

    /// <summary>Their effects, in the same order.</summary>
    public required IReadOnlyList<double> PatchingEffect { get; init; }

    /// <summary>
    /// With the method <c>screen</c> and <c>adaptive</c>: on how many pairs each was patched. 0: its effect is the estimate. Absent otherwise, where all or none were, on all.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? Pairs { get; init; }

    /// <summary>With these methods, the estimates over all pairs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? EstimatedEffect { get; init; }

    /// <summary>With the method <c>adaptive</c>, which are above the threshold.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<Decision>? Decision { get; init; }

    /// <summary>The standard errors; absent with fewer than two pairs, and with the method <c>adaptive</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? StandardError { get; init; }

    /// <summary>
    /// The lower ends of the 95 % intervals; absent with few pairs. With the method <c>adaptive</c> those of intervals that hold all together, after every round, as often as
    /// <c>found.confidence</c> says; null where there is none, and the effect itself where an edge was patched on all pairs.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double?>? Low { get; init; }

    /// <summary>The upper ends.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double?>? High { get; init; }

    /// <summary>Each edge, in order.</summary>
    public IEnumerable<EdgeEffect> All() => Edges.Select((edge, index) => new EdgeEffect(
        edge, PatchingEffect[index], StandardError?[index], Low?[index] is double low && High?[index] is double high ? new ConfidenceInterval(low, high) : null)
    {
        Pairs = Pairs?[index],
        EstimatedEffect = EstimatedEffect?[index],
        Decision = Decision?[index],
    });

    /// <summary>How they were found, in words.</summary>
    public string Words()
    {
        string gradients = Found.Steps == 1 ? "one gradient (EAP)" : string.Create(CultureInfo.InvariantCulture, $"{Found.Steps} gradients (EAP-IG)");
        return Found.Method switch
        {
            EdgeMethod.Exact => "each patched",
            EdgeMethod.Screen => string.Create(CultureInfo.InvariantCulture, $"estimated from {gradients}, then the {Pairs!.Count(pairs => pairs > 0):N0} strongest patched"),
            EdgeMethod.Adaptive => string.Create(
                CultureInfo.InvariantCulture,
                $"estimated from {gradients}, then each patched until it is decided: {Count(Adaptive.Decision.Above):N0} above {Found.Threshold}, {Count(Adaptive.Decision.Below):N0} not, {Count(Adaptive.Decision.Undecided):N0} undecided"),
            _ => $"estimated from {gradients}",
        };

        int Count(Decision decision) => Decision!.Count(one => one == decision);
    }

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
            Low = pooled.All(one => one.Interval is not null) ? [.. pooled.Select(one => one.Interval?.Low)] : null,
            High = pooled.All(one => one.Interval is not null) ? [.. pooled.Select(one => one.Interval?.High)] : null,
        };
    }
}
