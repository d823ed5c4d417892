using System.Globalization;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Reports.Circuits;

/// <summary>What the page and the pictures of a circuit say alike.</summary>
internal static class CircuitFacts
{
    /// <summary>The scale of colours that they have: that of effects of single nodes.</summary>
    public static double LimitOf(ProofSheet sheet) => DivergingColours.LimitOf([[.. sheet.Ranking.Select(ranked => ranked.Effect)]]);

    /// <summary>Such as <c>4 of 24 heads</c>.</summary>
    public static string Size(ProofSheet sheet) => $"{sheet.Circuit.Nodes.Count} of {sheet.Ranking.Count} {Unit(sheet)}";

    /// <summary>What the nodes are that were ranked: heads, MLPs, or nodes of both kinds.</summary>
    public static string Unit(ProofSheet sheet) =>
        sheet.Ranking.All(ranked => ranked.Node.Kind == NodeKind.Head) ? "heads" : sheet.Ranking.All(ranked => ranked.Node.Kind == NodeKind.Mlp) ? "MLPs" : "nodes";

    /// <summary>Model, data and metric.</summary>
    public static IReadOnlyList<string> Of(SweepResult of) => [of.Model.Name, of.Dataset.Name, of.Metric];

    /// <summary>On how many pairs it was looked for, and on how many proved.</summary>
    public static string Pairs(ProofSheet sheet) =>
        sheet.IsHeldOut ? $"found on {sheet.LookedAt} pairs, proved on {sheet.HeldOut} others" : $"found and proved on the same {sheet.HeldOut} pairs";

    /// <summary>A number with its interval.</summary>
    public static string WithInterval(PooledEffect effect) =>
        effect.Interval is { } interval ? $"{Number(effect.Effect)} ({Number(interval.Low)} to {Number(interval.High)})" : Number(effect.Effect);

    /// <summary>Three digits after the point.</summary>
    public static string Number(double value) => value.ToString("0.000;−0.000;0.000", CultureInfo.InvariantCulture);
}

/// <summary>A layer, or several in which no node of the circuit is, as one level of its graph.</summary>
/// <param name="First">The first layer.</param>
/// <param name="Last">The last.</param>
/// <param name="Heads">Its heads in the circuit, by number.</param>
/// <param name="Mlp">Its MLP, where that is in the circuit.</param>
internal sealed record CircuitLevel(int First, int Last, IReadOnlyList<ProvedNode> Heads, ProvedNode? Mlp)
{
    /// <summary>Whether nothing of the circuit is there.</summary>
    public bool IsEmpty => Heads.Count == 0 && Mlp is null;

    /// <summary>All levels of a model, the last layer first.</summary>
    public static IReadOnlyList<CircuitLevel> Of(ProofSheet sheet, int layers)
    {
        var levels = new List<CircuitLevel>();
        for (int layer = layers - 1; layer >= 0; layer--)
        {
            ProvedNode[] own = [.. sheet.Circuit.Nodes.Where(node => node.Node.Layer == layer && node.Node.Kind != NodeKind.Embedding)];
            var level = new CircuitLevel(layer, layer, [.. own.Where(node => node.Node.Kind == NodeKind.Head).OrderBy(node => node.Node.Head)], own.FirstOrDefault(node => node.Node.Kind == NodeKind.Mlp));
            if (level.IsEmpty && levels.LastOrDefault() is { IsEmpty: true } above)
            {
                levels[^1] = above with { First = layer };
            }
            else
            {
                levels.Add(level);
            }
        }

        return levels;
    }
}
