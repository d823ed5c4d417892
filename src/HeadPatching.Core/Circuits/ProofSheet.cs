using System.Text.Json.Serialization;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits;

/// <summary>What was shown of a circuit: where pairs were held out, all of it on those, which it was not looked for on.</summary>
public sealed record ProofSheet
{
    /// <summary>How proof sheets are written as JSON.</summary>
    public int SchemaVersion { get; init; } = 1;

    /// <summary>The sweeps that ranked the nodes, and what they were of; empty where none is known.</summary>
    public IReadOnlyList<string> Sweeps { get; init; } = [];

    /// <summary>What stands for z outside the circuit, in words, where that is an ablation; absent where it is as in the pairs' own corrupted runs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Outside { get; init; }

    /// <summary>What is shown, and what is not, in words.</summary>
    public IReadOnlyList<string> Verdict => ProofWords.Of(this);

    /// <summary>All nodes of which circuits were made, the strongest first.</summary>
    public required IReadOnlyList<RankedNode> Ranking { get; init; }

    /// <summary>How many pairs ranked the nodes, and were looked at to choose the circuit.</summary>
    public required int LookedAt { get; init; }

    /// <summary>How many pairs it was proved on.</summary>
    public required int HeldOut { get; init; }

    /// <summary>Whether the circuit was proved on other pairs than it was looked for on.</summary>
    public required bool IsHeldOut { get; init; }

    /// <summary>m(all): the clean run's metric, the mean over the pairs that it was proved on.</summary>
    public required double CleanMetric { get; init; }

    /// <summary>The corrupted run's metric, the mean over these.</summary>
    public required double CorruptedMetric { get; init; }

    /// <summary>m(none): the clean run's with every node as it is in the corrupted one, the mean over these.</summary>
    public required double NoneMetric { get; init; }

    /// <summary>The strongest nodes, so many of them at a time.</summary>
    public required IReadOnlyList<ProvedSize> Sizes { get; init; }

    /// <summary>The circuit that was found.</summary>
    public required ProvedCircuit Circuit { get; init; }

    /// <summary>
    /// The area under f over the share of nodes: how much of the behaviour small circuits have ("circuit performance ratio", MIB, Mueller et al.
    /// 2025, section 3). By trapezoids between the sizes, from f = 0 with no node to f = 1 with all of them.
    /// </summary>
    public double Cpr => Area(size => size.Faithfulness.Effect, 0, 1);

    /// <summary>The area under |1 - f|: how far circuits are from the model ("circuit-model distance", the same place).</summary>
    public double Cmd => Area(size => Math.Abs(1 - size.Faithfulness.Effect), 1, 0);

    /// <summary><see cref="Cpr"/> of the random circuits' means.</summary>
    public double? RandomCpr => Sizes.All(size => size.Random.Count > 0 || size.Share == 1) ? Area(size => size.Random.Average(), 0, 1) : null;

    private double Area(Func<ProvedSize, double> of, double atNone, double atAll)
    {
        (double X, double Y)[] points = [(0, atNone), .. Sizes.Where(size => size.Share < 1).Select(size => (size.Share, of(size))), (1, atAll)];
        return points.Zip(points.Skip(1), (left, right) => (right.X - left.X) * (left.Y + right.Y) / 2).Sum();
    }
}

/// <summary>Circuits of one size.</summary>
/// <param name="Nodes">How many nodes they have.</param>
/// <param name="Share">Of all there are, 0 to 1.</param>
/// <param name="Faithfulness">f of the strongest, with its interval over pairs.</param>
/// <param name="Without">f of everything but these: what the model does without them.</param>
/// <param name="Random">f of random other circuits of as many nodes, the least first.</param>
public sealed record ProvedSize(int Nodes, double Share, PooledEffect Faithfulness, PooledEffect Without, IReadOnlyList<double> Random)
{
    /// <summary>The share of random circuits that are less faithful, 0 to 1; null where there are none.</summary>
    public double? Percentile => Random.PercentileOf(Faithfulness.Effect);
}

/// <summary>The circuit that was found.</summary>
/// <param name="Nodes">Its nodes, the strongest first.</param>
/// <param name="Faithfulness">f of it alone, with its interval over pairs.</param>
/// <param name="Without">f of everything but it: near 0 where nothing else does the task as well (completeness, as the IOI paper's "minus the circuit").</param>
/// <param name="Random">f of random other circuits of as many nodes, the least first.</param>
/// <param name="Tolerance">How far from 1 its faithfulness was allowed to be where it was looked for.</param>
public sealed record ProvedCircuit(
    IReadOnlyList<ProvedNode> Nodes, PooledEffect Faithfulness, PooledEffect Without, IReadOnlyList<double> Random, double Tolerance)
{
    /// <summary>Whether somebody named it; otherwise it was looked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool WasGiven { get; init; }

    /// <summary>The share of random circuits that are less faithful, 0 to 1; null where there are none.</summary>
    public double? Percentile => Random.PercentileOf(Faithfulness.Effect);
}

/// <summary>A node of the circuit.</summary>
/// <param name="Node">The node.</param>
/// <param name="Effect">Its effect by itself, over the pairs that ranked it.</param>
/// <param name="Loss">How much less f is where it alone is left out (minimality: a node that loses nothing need not be in it).</param>
public sealed record ProvedNode(Node Node, double Effect, PooledEffect Loss);

internal static class Percentiles
{
    /// <summary>The share of values that are less than one; null where there are none.</summary>
    public static double? PercentileOf(this IReadOnlyList<double> values, double one) =>
        values.Count == 0 ? null : (double)values.Count(value => value < one) / values.Count;
}
