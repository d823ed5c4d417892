using HeadPatching.Core.Patching;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Adaptive;

/// <summary>
/// All pairs of a sweep, before any head is run on one: what an adaptive sweep says something about. Pairs are known by their places among those that the
/// sweep's effects are made of, from 0.
/// </summary>
/// <param name="Indices">The pairs' indices in the dataset, by place.</param>
/// <param name="Heads">How many heads there are.</param>
public sealed record AdaptivePopulation(IReadOnlyList<int> Indices, int Heads)
{
    /// <summary>How many pairs there are.</summary>
    public int Pairs => Indices.Count;

    /// <summary>
    /// Pairs that are run first, whatever the seed, by their places, ascending: those whose effects may be as large as all others together, of which no sample of
    /// others tells (a certainty stratum: Särndal, Swensson and Wretman 1992, "Model Assisted Survey Sampling", section 3.7).
    /// </summary>
    public IReadOnlyList<int> Certain { get; init; } = [];

    /// <summary>By head the mean of the estimated effects over all pairs that are not <see cref="Certain"/>; null where there are no estimates.</summary>
    public IReadOnlyList<double>? EstimateMeans { get; init; }

    /// <summary>
    /// The pairs that a mean of effects is made of. Of those that are taken although they are ill-conditioned (<see cref="PairConditioning.IllConditionedBelow"/>, by their
    /// unpatched runs alone) each is certain.
    /// </summary>
    /// <param name="aggregation">Which mean.</param>
    /// <param name="pairs">The indices of all pairs, and their unpatched metrics.</param>
    /// <param name="heads">How many heads there are.</param>
    /// <exception cref="ArgumentException">The aggregation is not a mean of the pairs' own effects.</exception>
    public static AdaptivePopulation Of(Aggregation aggregation, IReadOnlyList<(int Index, Baseline Baseline)> pairs, int heads)
    {
        if (aggregation == Aggregation.RatioOfMeans)
        {
            throw new ArgumentException("A ratio of means is no mean of the pairs' own effects.", nameof(aggregation));
        }

        var conditioning = new PairConditioning(aggregation, pairs);
        int[] taken = [.. pairs.Select(pair => pair.Index).Where(conditioning.Takes)];
        var illConditioned = new PairConditioning(Aggregation.WellConditionedMean, pairs);
        return new AdaptivePopulation(taken, heads) { Certain = [.. taken.Index().Where(pair => !illConditioned.Takes(pair.Item)).Select(pair => pair.Index)] };
    }
}

/// <summary>The effects of some heads on a pair.</summary>
/// <param name="Exact">What their runs gave, in the order of the round's heads.</param>
/// <param name="Estimates">What their estimates say, in the same order; null where there are none.</param>
public readonly record struct PairEffects(IReadOnlyList<double> Exact, IReadOnlyList<double>? Estimates);
