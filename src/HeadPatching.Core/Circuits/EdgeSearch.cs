using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits;

/// <summary>Patches or estimates some edges on some pairs.</summary>
/// <param name="pairs">The pairs.</param>
/// <param name="edges">The edges.</param>
/// <param name="how">Which of the two: its method is one of exact, attribution and attribution-ig.</param>
public delegate PatchSetRuns RunEdges(IReadOnlyList<TokenPair> pairs, IReadOnlyList<Edge> edges, EdgeWork how);

/// <summary>
/// Finds the effects of edges by the runs that its method asks for, one round after another. It has no runs of its own: the same runs lead to the same rounds, so
/// that a search that was interrupted goes on by asking again.
/// </summary>
public static class EdgeSearch
{
    /// <summary>Finds them.</summary>
    /// <param name="how">How.</param>
    /// <param name="edges">The edges.</param>
    /// <param name="pairs">The pairs.</param>
    /// <param name="aggregation">How pairs come together; a mean of effects where it is adaptive.</param>
    /// <param name="direction">Which run is patched.</param>
    /// <param name="seed">Where it is adaptive, of the order in which pairs are run.</param>
    /// <param name="run">Makes the runs.</param>
    /// <exception cref="ArgumentException">It is adaptive, and the aggregation no mean of the pairs' own effects.</exception>
    public static EdgeEffects Find(
        EdgeWork how, IReadOnlyList<Edge> edges, IReadOnlyList<TokenPair> pairs, Aggregation aggregation, Direction direction, int seed, RunEdges run)
    {
        int[] indices = [.. pairs.Select(pair => pair.Index)];
        return how.Method switch
        {
            EdgeMethod.Screen => Screen(),
            EdgeMethod.Adaptive => Adapt(),
            _ => EdgeEffects.Of(how, edges, run(pairs, edges, how), indices, aggregation, direction),
        };

        EdgeEffects Screen()
        {
            PatchSetRuns estimates = run(pairs, edges, how.Estimated());
            double[] estimated = [.. EdgeEffects.Of(how, edges, estimates, indices, aggregation, direction).PatchingEffect];
            int[] chosen = [.. estimated.Index().OrderByDescending(edge => Math.Abs(edge.Item)).Take(how.Top ?? edges.Count).Select(edge => edge.Index).Order()];
            PatchSetRuns exact = run(pairs, [.. chosen.Select(edge => edges[edge])], how.Patched());
            double[][] metric = [.. estimates.Patched];
            int[] on = new int[edges.Count];
            foreach (var (edge, patched) in chosen.Zip(exact.Patched))
            {
                (metric[edge], on[edge]) = (patched, pairs.Count);
            }

            return EdgeEffects.Of(how, edges, estimates with { Patched = metric }, indices, aggregation, direction) with { Pairs = on, EstimatedEffect = estimated };
        }

        EdgeEffects Adapt()
        {
            PatchSetRuns estimates = run(pairs, edges, how.Estimated());
            var population = AdaptivePopulation.Of(aggregation, [.. indices.Zip(estimates.Baselines)], edges.Count);
            Dictionary<int, int> placeOf = indices.Index().ToDictionary(pair => pair.Item, pair => pair.Index);
            int[] taken = [.. population.Indices.Select(index => placeOf[index])]; // by place in the population, the place among the pairs
            EdgeEffects estimated = EdgeEffects.Of(how, edges, estimates, indices, aggregation, direction);
            if (taken.Length == 0)
            {
                return estimated with { Pairs = new int[edges.Count], EstimatedEffect = estimated.PatchingEffect, Decision = new Decision[edges.Count] };
            }

            int[] drawn = [.. Enumerable.Range(0, taken.Length).Except(population.Certain).Select(place => taken[place])];
            var sweep = new AdaptiveSweep(
                population with
                {
                    Estimates = [.. estimates.Patched.Select(metric => EstimateSpread.Of([.. (drawn.Length > 0 ? drawn : taken).Select(pair => EffectOf(estimates, metric, pair))]))],
                },
                new AdaptiveOptions { Threshold = how.Threshold ?? new AdaptiveOptions().Threshold, Confidence = how.Confidence ?? new AdaptiveOptions().Confidence, Seed = seed, OfFewPairs = true });
            while (sweep.Next is AdaptiveRound round)
            {
                PatchSetRuns exact = run([.. round.Pairs.Select(place => pairs[taken[place]])], [.. round.Heads.Select(edge => edges[edge])], how.Patched());
                sweep.Take(
                [
                    .. round.Pairs.Select((place, at) => new PairEffects(
                        [.. exact.Patched.Select(metric => EffectOf(exact, metric, at))],
                        [.. round.Heads.Select(edge => EffectOf(estimates, estimates.Patched[edge], taken[place]))])),
                ]);
            }

            return new EdgeEffects
            {
                Found = how,
                Edges = edges,
                PatchingEffect = [.. sweep.Heads.Select(edge => edge.Effect)],
                Low = [.. sweep.Heads.Select(edge => edge.Interval?.Low)],
                High = [.. sweep.Heads.Select(edge => edge.Interval?.High)],
                Pairs = [.. sweep.Heads.Select(edge => edge.Pairs)],
                EstimatedEffect = estimated.PatchingEffect,
                Decision = [.. sweep.Heads.Select(edge => edge.Decision)],
            };
        }

        double EffectOf(PatchSetRuns runs, double[] metric, int pair)
        {
            var (from, to) = runs.Baselines[pair].FromTo(direction);
            return Effect.Of(metric[pair], from, to);
        }
    }
}
