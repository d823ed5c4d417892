using System.Text.Json;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Edges;
using HeadPatching.Core.Results.OverPairs;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>
/// What an adaptive sweep decides, and by how many of the runs, over many seeds: every head, or edge, is run on every pair once, and the state machine is fed from that.
/// </summary>
internal static class AdaptiveBenchmark
{
    /// <summary>Runs it.</summary>
    /// <param name="measured">The model and its pairs.</param>
    /// <param name="ofEdges">Whether edges take the place of heads.</param>
    /// <param name="aggregation">How pairs come together.</param>
    /// <param name="threshold">What effects are held against.</param>
    /// <param name="seeds">How many seeds.</param>
    /// <param name="firstPairs">How many pairs the first round draws; null for the default.</param>
    public static int Run(ModelWithPairs measured, bool ofEdges, Aggregation aggregation, double threshold, int seeds, int? firstPairs)
    {
        using Transformer model = ModelFolder.Load(measured.Folder, ScalarType.Float32, CPU);
        var (unpatched, effects, estimates) = ofEdges ? OfEdges(model, measured) : OfHeads(model, measured);
        (int Index, Baseline Baseline)[] baselines = [.. measured.Pairs.Select(pair => (pair.Index, unpatched[pair.Index]))];
        int heads = effects.Values.First().Length;
        AdaptivePopulation population = AdaptivePopulation.Of(aggregation, baselines, heads);
        int[] drawn = [.. population.Indices.Where((_, place) => !population.Certain.Contains(place))];
        double[] truth = Means(effects, population.Indices, heads);
        Replays without = Replay(population, effects, null), with = Replay(population with { Estimates = [.. Enumerable.Range(0, heads).Select(head => EstimateSpread.Of([.. drawn.Select(pair => estimates[pair][head])]))] }, effects, estimates);
        Console.WriteLine(FormattableString.Invariant(
            $"{measured.Name}: {population.Pairs} pairs, {heads} {(ofEdges ? "edges" : "heads")}, {truth.Count(effect => Math.Abs(effect) > threshold)} of them beyond {threshold}, the nearest {truth.Min(effect => Math.Abs(Math.Abs(effect) - threshold)):F4} from it; {seeds} seeds."));
        Console.WriteLine("| | decisions equal | runs | most runs of a seed | undecided | all intervals hold |");
        Console.WriteLine("|---|---|---|---|---|---|");
        Console.WriteLine(with.Line("with estimates"));
        Console.WriteLine(without.Line("without"));
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            model = measured.Name,
            pairs = population.Pairs,
            certainPairs = population.Certain.Count,
            of = ofEdges ? "edges" : "heads",
            heads,
            threshold,
            seeds,
            decisionsEqual = with.Equal,
            runsShare = with.Share,
            mostRunsShare = with.MostShare,
            undecidedShare = with.Undecided,
            coverage = with.Coverage,
            furthestMiss = Math.Round(with.FurthestMiss, 5),
            falseDiscoveryRate = with.FalseDiscoveries,
            withoutEstimates = new { decisionsEqual = without.Equal, runsShare = without.Share, coverage = without.Coverage, widthOverFixed = without.Width },
        }));
        return 0;

        Replays Replay(AdaptivePopulation all, Dictionary<int, double[]> exactly, Dictionary<int, double[]>? estimatedly)
        {
            var replays = new Replays(seeds);
            for (int seed = 0; seed < seeds; seed++)
            {
                var sweep = new AdaptiveSweep(all, new AdaptiveOptions { Threshold = threshold, Seed = seed, FirstPairs = firstPairs, OfFewPairs = ofEdges });
                bool holds = true;
                var taken = new List<int>();
                while (sweep.Next is { } round)
                {
                    int[] pairs = [.. round.Pairs.Select(place => all.Indices[place])];
                    taken.AddRange(pairs);
                    sweep.Take([.. pairs.Select(pair => new PairEffects(Of(exactly[pair], round), estimatedly is null ? null : Of(estimatedly[pair], round)))]);
                    holds &= round.Heads.All(head => sweep.Heads[head].Interval is not { } interval || Holds(interval, truth[head]));
                    replays.FurthestMiss = Math.Max(replays.FurthestMiss, round.Heads.Max(head => sweep.Heads[head].Interval is not { } interval ? 0 : Math.Max(interval.Low - truth[head], truth[head] - interval.High)));
                    foreach (int head in round.Heads.Where(head => estimatedly is null && taken.Count < all.Pairs && all.Certain.Count == 0 && !ofEdges))
                    {
                        replays.AddWidth(sweep.Heads[head].Interval!.Value, Fixed([.. taken.Select(pair => exactly[pair][head])], all));
                    }
                }

                Decision[] right = [.. truth.Select(effect => Math.Abs(effect) > threshold ? Decision.Above : Decision.Below)];
                replays.Add(sweep, right, holds);
            }

            return replays;
        }
    }

    private static (IReadOnlyDictionary<int, Baseline> Baselines, Dictionary<int, double[]> Effects, Dictionary<int, double[]> Estimates) OfHeads(Transformer model, ModelWithPairs measured)
    {
        var options = new PatchOptions();
        SweepRuns exact = InMemorySweep.Run(model, measured.Pairs, options, new LogitDifference(), MemoryBudget.Default);
        SweepRuns estimated = InMemorySweep.Estimate(model, measured.Pairs, options, new LogitDifference(), MemoryBudget.Default);
        return (exact.Baselines, Effects(exact, exact.Baselines), Effects(estimated, exact.Baselines));
    }

    // Estimated as a sweep does, from five gradients.
    private static (IReadOnlyDictionary<int, Baseline> Baselines, Dictionary<int, double[]> Effects, Dictionary<int, double[]> Estimates) OfEdges(Transformer model, ModelWithPairs measured)
    {
        EdgeRuns exact = EdgeSweep.Run(model, measured.Pairs, new EdgeOptions(), new LogitDifference(), MemoryBudget.Default);
        EdgeRuns estimated = EdgeSweep.Estimate(model, measured.Pairs, new EdgeOptions(), new LogitDifference(), MemoryBudget.Default, steps: 5);
        return (measured.Pairs.Zip(exact.Baselines).ToDictionary(pair => pair.First.Index, pair => pair.Second), Of(exact), Of(estimated));

        Dictionary<int, double[]> Of(EdgeRuns runs) => measured.Pairs.Index().ToDictionary(
            pair => pair.Item.Index,
            pair => runs.Patched.Select(edge => Effect.Of(edge[pair.Index], exact.Baselines[pair.Index].Corrupted, exact.Baselines[pair.Index].Clean)).ToArray());
    }

    // What the same pairs would say if their number had been fixed before: for all heads together, and as exactly for pairs that are no small part of all.
    private static double Fixed(double[] effects, AdaptivePopulation all)
    {
        double mean = effects.Average(), rest = Math.Sqrt(1 - (effects.Length / (double)all.Pairs));
        double[] deviations = [.. effects.Select(effect => effect - mean)];
        ConfidenceInterval interval = ConfidenceInterval.Of(
            mean, effects.Length, deviations.Sum(one => one * one), deviations.Sum(one => one * one * one), ConfidenceInterval.Miss / all.Heads)!.Value;
        return (interval.High - interval.Low) * rest;
    }

    private static bool Holds(ConfidenceInterval interval, double truth) => interval.Low - 1e-9 <= truth && truth <= interval.High + 1e-9;

    private static double[] Of(double[] effects, AdaptiveRound round) => [.. round.Heads.Select(head => effects[head])];

    private static double[] Means(Dictionary<int, double[]> effects, IReadOnlyList<int> pairs, int heads) =>
        [.. Enumerable.Range(0, heads).Select(head => pairs.Average(pair => effects[pair][head]))];

    // By the pair's index, of every head.
    private static Dictionary<int, double[]> Effects(SweepRuns runs, IReadOnlyDictionary<int, Baseline> baselines)
    {
        var all = baselines.Keys.ToDictionary(pair => pair, _ => new List<double>());
        foreach (LayerPatches layer in runs.Layers.OrderBy(layer => layer.Layer))
        {
            foreach (var (pair, metric) in layer.PairIndices.Zip(layer.PatchedMetric))
            {
                all[pair].AddRange(metric[0].Select(patched => Effect.Of(patched, baselines[pair].Corrupted, baselines[pair].Clean)));
            }
        }

        return all.ToDictionary(pair => pair.Key, pair => pair.Value.ToArray());
    }

    private sealed class Replays(int seeds)
    {
        private double _equal, _share, _undecided, _holds, _false, _widths;
        private int _compared;

        public double Equal => Math.Round(_equal / seeds, 5);

        public double Share => Math.Round(_share / seeds, 4);

        public double MostShare { get; private set; }

        /// <summary>By how much an interval left out the effect at the most.</summary>
        public double FurthestMiss { get; set; }

        public double Undecided => Math.Round(_undecided / seeds, 5);

        public double Coverage => Math.Round(_holds / seeds, 4);

        public double FalseDiscoveries => Math.Round(_false / seeds, 5);

        public double Width => Math.Round(_widths / Math.Max(1, _compared), 3);

        public void Add(AdaptiveSweep sweep, Decision[] right, bool holds)
        {
            double share = sweep.Runs / ((double)right.Length * sweep.Pairs);
            _equal += sweep.Heads.Index().Average(head => head.Item.Decision == right[head.Index] ? 1.0 : 0);
            _share += share;
            MostShare = Math.Round(Math.Max(MostShare, share), 4);
            _undecided += sweep.Heads.Average(head => head.Decision == Decision.Undecided ? 1.0 : 0);
            _holds += holds ? 1 : 0;
            int found = sweep.Heads.Count(head => head.Decision == Decision.Above);
            _false += sweep.Heads.Index().Count(head => head.Item.Decision == Decision.Above && right[head.Index] != Decision.Above) / Math.Max(1.0, found);
        }

        public void AddWidth(ConfidenceInterval interval, double other)
        {
            if (other > 0)
            {
                _widths += (interval.High - interval.Low) / other;
                _compared++;
            }
        }

        public string Line(string name) => FormattableString.Invariant($"| {name} | {Equal:P2} | {Share:P2} | {MostShare:P2} | {Undecided:P2} | {Coverage:P1} |");
    }
}
