using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Adaptive;

/// <summary>
/// Which heads have an effect above a threshold, by as few runs as it takes. It runs all heads on a few pairs, looks which are decided, runs the others on further pairs, and so on; in
/// <see cref="AdaptiveOptions.Confidence"/> of sweeps no interval of any head in any round misses the effect over all pairs, and so no decision is wrong.
/// </summary>
/// <remarks>
/// <para>
/// A state machine without runs of its own: <see cref="Next"/> says which to make, <see cref="Take"/> takes in what they gave. The same population, options and effects lead to the
/// same rounds and decisions, so that a sweep that was interrupted goes on by taking in again what is stored.
/// </para>
/// <para>
/// Pairs are drawn without replacement in one order for all heads, so that a round is a few pairs by some heads. Each head's intervals may miss in 1 - confidence through the number
/// of heads (Bonferroni). Holm's procedure would allow more once some are decided, but here it would not hold: of the two claims about a head, above and below, one is
/// always false, so that as many false ones may be made after a decision as before. What is held is a few sums a head.
/// </para>
/// </remarks>
public sealed class AdaptiveSweep
{
    private readonly AdaptivePopulation _population;
    private readonly AdaptiveOptions _options;
    private readonly AnytimeBound _bound;
    private readonly int[] _order;                                            // of the pairs that are drawn
    private readonly AdjustedMean[] _means;
    private readonly AdaptiveHead[] _heads;

    /// <summary>Begins one.</summary>
    /// <exception cref="ArgumentException">There are no pairs or heads, or options are out of range.</exception>
    public AdaptiveSweep(AdaptivePopulation population, AdaptiveOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(population.Pairs, 1, nameof(population));
        ArgumentOutOfRangeException.ThrowIfLessThan(population.Heads, 1, nameof(population));
        ArgumentOutOfRangeException.ThrowIfNegative(options.Threshold, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.First(population.Pairs), LeastPairs, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(options.Growth, 1, nameof(options));
        if (options.Confidence is not (> 0 and < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(options), "A confidence is between 0 and 1.");
        }

        _population = population;
        _options = options;
        _bound = new AnytimeBound(Math.Max(1, population.Pairs - population.Certain.Count), (1 - options.Confidence) / population.Heads);
        _order = [.. Enumerable.Range(0, population.Pairs).Except(population.Certain)];
        new Random(options.Seed).Shuffle(_order);
        _means = new AdjustedMean[population.Heads];
        _heads = [.. Enumerable.Repeat(new AdaptiveHead(Decision.Undecided, 0, null, 0, IsFinished: false), population.Heads)];
        Next = new AdaptiveRound(0, [.. population.Certain, .. _order.Take(options.First(population.Pairs))], [.. Enumerable.Range(0, population.Heads)]);
    }

    /// <summary>The fewest pairs of a first round: over fewer there is no interval.</summary>
    public static int LeastPairs => ConfidenceInterval.LeastPairs;

    /// <summary>What is known of each head.</summary>
    public IReadOnlyList<AdaptiveHead> Heads => _heads;

    /// <summary>The runs to make next; null where every head is finished.</summary>
    public AdaptiveRound? Next { get; private set; }

    /// <summary>How many pairs there are.</summary>
    public int Pairs => _population.Pairs;

    /// <summary>How many rounds were taken in.</summary>
    public int Rounds { get; private set; }

    /// <summary>How many runs were made, each of a head on a pair.</summary>
    public long Runs { get; private set; }

    private int Drawn { get; set; }

    /// <summary>Takes in what the runs of <see cref="Next"/> gave.</summary>
    /// <param name="effects">The effects of the round's heads on each of its pairs, in their order.</param>
    /// <exception cref="InvalidOperationException">There is no round.</exception>
    /// <exception cref="ArgumentException">They are not as many as the round asks for.</exception>
    public void Take(IReadOnlyList<PairEffects> effects)
    {
        AdaptiveRound round = Next ?? throw new InvalidOperationException("Every head is finished.");
        bool estimated = _population.Estimates is not null;
        if (effects.Count != round.Pairs.Count || effects.Any(pair => pair.Exact.Count != round.Heads.Count || (estimated && pair.Estimates?.Count != round.Heads.Count)))
        {
            throw new ArgumentException($"A round takes the effects of {round.Heads.Count} heads on {round.Pairs.Count} pairs{(estimated ? ", with their estimates" : "")}.", nameof(effects));
        }

        int certain = round.Number == 0 ? _population.Certain.Count : 0;
        foreach (var (place, pair) in effects.Index())
        {
            foreach (var (index, head) in round.Heads.Index())
            {
                if (place < certain)
                {
                    _means[head].AddCertain(pair.Exact[index]);
                }
                else
                {
                    _means[head].Add(pair.Exact[index], pair.Estimates?[index] ?? 0);
                }
            }
        }

        Drawn += round.Pairs.Count - certain;
        Rounds++;
        Runs += (long)round.Pairs.Count * round.Heads.Count;
        foreach (int head in round.Heads)
        {
            _heads[head] = Judged(head);
        }

        int[] left = [.. round.Heads.Where(head => !_heads[head].IsFinished)];
        int until = Math.Min(_order.Length, (int)Math.Ceiling(Drawn * _options.Growth));
        if (_options.OfFewPairs && _order.Length - until < _options.First(_population.Pairs))
        {
            until = _order.Length;
        }

        Next = left.Length == 0 ? null : new AdaptiveRound(round.Number + 1, _order[Drawn..until], left);
    }

    private AdaptiveHead Judged(int head)
    {
        var (effect, interval) = _means[head].Over(_population, _population.Estimates?[head], _bound, _options.OfFewPairs);
        bool all = Drawn == _order.Length;
        Decision decision = all ? (Math.Abs(effect) > _options.Threshold ? Decision.Above : Decision.Below)
            : interval is not { } within ? Decision.Undecided
            : within.LeastSize > _options.Threshold ? Decision.Above
            : Math.Max(within.High, -within.Low) < _options.Threshold ? Decision.Below
            : Decision.Undecided;
        return new AdaptiveHead(decision, effect, interval, _means[head].Pairs, all || decision != Decision.Undecided || interval?.High - interval?.Low <= _options.Width);
    }
}
