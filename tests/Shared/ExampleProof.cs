using HeadPatching.Core.Circuits;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Testing;

/// <summary>Proof sheets of circuits that were never run, for tests of what is made of them.</summary>
internal static class ExampleProof
{
    /// <summary>The sweep that ranked the heads of <see cref="Of"/>: its model's shape is known.</summary>
    public static SweepResult Sweep(int layers, int heads, bool parallel = false)
    {
        SweepResult sweep = ExampleSweep.Of(layers, heads);
        return sweep with { Model = sweep.Model with { Width = 64 * heads, ParallelResidual = parallel } };
    }

    /// <summary>The strongest heads of a sweep keep what they should, random ones little. The same numbers at each call.</summary>
    /// <param name="sweep">The sweep that ranks heads.</param>
    /// <param name="nodes">How many are in the circuit.</param>
    /// <param name="random">How many random circuits there are of each size.</param>
    /// <param name="mlps">Whether MLPs are ranked beside the heads.</param>
    /// <param name="intervals">Whether there were pairs enough for intervals.</param>
    public static ProofSheet Of(SweepResult sweep, int nodes = 4, int random = 100, bool mlps = false, bool intervals = true)
    {
        var draws = new Random(7);
        RankedNode[] ranking =
        [
            .. sweep.Heads.Select(head => new RankedNode(Node.OfHead(head.Layer, head.Head!.Value), head.PatchingEffect))
                .Concat(mlps ? Enumerable.Range(0, sweep.Model.Layers).Select(layer => new RankedNode(Node.OfMlp(layer), layer == 0 ? 0.3 : -0.02 * layer)) : [])
                .OrderByDescending(one => Math.Abs(one.Effect)),
        ];
        int all = ranking.Length;
        return new ProofSheet
        {
            Sweeps = [$"{sweep.SweepId}: z of {sweep.Model.Name} on {sweep.Dataset.Name}, {sweep.Metric}"],
            Ranking = ranking,
            LookedAt = 70,
            HeldOut = 30,
            IsHeldOut = true,
            CleanMetric = 3.25,
            CorruptedMetric = -1.5,
            NoneMetric = -1.25,
            Sizes =
            [
                .. ProofOptions.DefaultShares.Select(share => Math.Max(1, (int)Math.Round(share * all))).Distinct()
                    .Select(size => new ProvedSize(size, (double)size / all, Effect(Kept(size)), Effect(1 - Kept(size)), size == all ? [] : Chance(size))),
            ],
            Circuit = new ProvedCircuit(
                [.. ranking.Take(nodes).Select((one, index) => new ProvedNode(one.Node, one.Effect, Effect(index == nodes - 1 ? 0.001 : Math.Abs(one.Effect) * 0.9)))],
                Effect(1.01),
                Effect(-0.02),
                nodes == all ? [] : Chance(nodes),
                0.02),
        };

        double Kept(int size) => size == all ? 1 : 1.02 * (1 - Math.Exp(-2.5 * size / nodes));

        PooledEffect Effect(double effect) => new(effect, 0.012, intervals ? new ConfidenceInterval(effect - 0.03, effect + 0.025) : null, 30);

        double[] Chance(int size) => [.. Enumerable.Range(0, random).Select(_ => ((double)size / all) + (0.25 * (draws.NextDouble() - 0.4))).Order()];
    }
}
