using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Sweeps.Activities.Adaptive;

/// <summary>A round of an adaptive sweep with what its runs gave, as it lies in the store: the next is decided from these alone.</summary>
/// <param name="Heads">The heads.</param>
/// <param name="Pairs">The pairs, in the order in which they are taken in.</param>
internal sealed record TakenRound(IReadOnlyList<int> Heads, IReadOnlyList<TakenPair> Pairs)
{
    /// <summary>Whether it is the round that is to be.</summary>
    public bool Is(AdaptiveRound round, AdaptivePopulation population) =>
        Heads.SequenceEqual(round.Heads) && Pairs.Select(pair => pair.Place).SequenceEqual(round.Pairs.Select(pair => population.Indices[pair]));

    /// <summary>The effects that it gave.</summary>
    public IReadOnlyList<PairEffects> Effects(Direction direction) =>
    [
        .. Pairs.Select(pair =>
        {
            var (from, to) = new Baseline(pair.Clean, pair.Corrupted).FromTo(direction);
            return new PairEffects(EffectsOf(pair.Metric), pair.Estimates is null ? null : EffectsOf(pair.Estimates));

            double[] EffectsOf(IReadOnlyList<double> metric) => [.. metric.Select(value => Effect.Of(value, from, to))];
        }),
    ];
}

/// <summary>A pair of a round.</summary>
/// <param name="Place">Its place in the result.</param>
/// <param name="Clean">The clean run's metric.</param>
/// <param name="Corrupted">The corrupted run's.</param>
/// <param name="Metric">The patched runs', in the order of the round's heads.</param>
/// <param name="Estimates">What their estimates are; null where there are none.</param>
internal sealed record TakenPair(int Place, double Clean, double Corrupted, IReadOnlyList<double> Metric, IReadOnlyList<double>? Estimates)
{
    /// <summary>The heads that were run on it.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public IReadOnlyList<int> Heads { get; init; } = [];
}

/// <summary>What an adaptive sweep came to, with its runs.</summary>
/// <param name="Findings">What was decided.</param>
/// <param name="Drawn">What was drawn, by the pair's place.</param>
internal sealed record AdaptiveRuns(AdaptiveFindings Findings, IReadOnlyDictionary<int, TakenPair> Drawn);
