using System.Text.Json;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Reports.Circuits;

/// <summary>circuit.html: a proof sheet as one page, self-contained and as careful with what it shows as <see cref="ReportPage"/>.</summary>
public static class CircuitPage
{
    /// <summary>Writes the page.</summary>
    /// <param name="sheet">The proof sheet.</param>
    /// <param name="of">One of the sweeps that ranked its nodes.</param>
    /// <param name="beside">The names of the files that lie beside it.</param>
    /// <param name="to">The file.</param>
    public static void Write(ProofSheet sheet, SweepResult of, IReadOnlyList<string> beside, Stream to)
    {
        ProvedCircuit circuit = sheet.Circuit;
        Dictionary<Node, int> ranks = sheet.Ranking.Select(ranked => ranked.Node).Index().ToDictionary(one => one.Item, one => one.Index + 1);
        var data = new
        {
            facts = (string[])[.. CircuitFacts.Of(of), CircuitFacts.Pairs(sheet)],
            unit = CircuitFacts.Unit(sheet),
            sheet.Verdict,
            sheet.Sweeps,
            ranked = new { nodes = sheet.Ranking.Count, mlps = sheet.Ranking.Any(one => one.Node.Kind == NodeKind.Mlp), embedding = sheet.Ranking.Any(one => one.Node.Kind == NodeKind.Embedding) },
            parallel = of.Model.ParallelResidual,
            sheet.LookedAt,
            sheet.HeldOut,
            sheet.IsHeldOut,
            sheet.CleanMetric,
            sheet.CorruptedMetric,
            sheet.NoneMetric,
            sheet.Cpr,
            sheet.Cmd,
            sheet.RandomCpr,
            limit = CircuitFacts.LimitOf(sheet),
            axis = FaithfulnessAxis.Of(sheet),
            sizes = sheet.Sizes.Select(size => new { size.Nodes, size.Share, f = Effect(size.Faithfulness), without = Effect(size.Without), random = RandomBand.Of(size.Random), size.Percentile }),
            circuit = new
            {
                f = Effect(circuit.Faithfulness),
                without = Effect(circuit.Without),
                random = RandomBand.Of(circuit.Random),
                circuit.Percentile,
                circuit.Tolerance,
                nodes = circuit.Nodes.Select(node => new { name = node.Node.ToString(), node.Node.Layer, rank = ranks[node.Node], node.Effect, loss = Effect(node.Loss) }),
            },
            levels = CircuitLevel.Of(sheet, of.Model.Layers).Select(level => new { level.First, level.Last, heads = level.Heads.Select(head => head.Node.ToString()), mlp = level.Mlp?.Node.ToString() }),
            files = beside,
        };
        SelfContainedPage.Write(
            "circuit",
            $"The circuit of {of.Model.Name} on {of.Dataset.Name}: {CircuitFacts.Size(sheet)}",
            new Dictionary<string, string>
            {
                ["heading"] = $"The circuit: {CircuitFacts.Size(sheet)}",
                ["units"] = CircuitFacts.Unit(sheet),
                ["verdict"] = sheet.Verdict[0],
            },
            JsonSerializer.Serialize(data, ReportPage.DataJson),
            to);

        static object Effect(PooledEffect effect) => new { value = effect.Effect, effect.Interval };
    }
}
