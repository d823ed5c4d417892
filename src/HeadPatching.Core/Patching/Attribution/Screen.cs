using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Patching.Attribution;

/// <summary>Chooses the heads that are worth an exact patch, from the estimates of all.</summary>
public sealed class Screen
{
    private readonly EffectSums _sums;
    private readonly int[] _places;
    private int _layers;

    /// <summary>For estimates that are taken in pair by pair.</summary>
    /// <param name="pairs">All pairs of the sweep.</param>
    /// <param name="options">What was estimated.</param>
    /// <param name="aggregation">How the pairs come together.</param>
    public Screen(PairsOverview pairs, PatchOptions options, Aggregation aggregation)
    {
        IReadOnlyList<Cell> cells = Cells.WithEnoughPairs(Cells.Of(options.Positions, pairs.Shapes), pairs.Count);
        _places = [.. Enumerable.Range(0, cells.Count)];
        _sums = new EffectSums(options.Positions, cells, new EffectOverPairs(aggregation, options.Direction, pairs.Baselines));
    }

    /// <summary>Takes in the estimates of a pair.</summary>
    public void Add(PairRuns estimates)
    {
        _layers = estimates.PatchedMetric.Length;
        _sums.Add(estimates, estimates.PatchedMetric);
    }

    /// <summary>The heads of largest |estimated effect| over all pairs; where each position or role is patched in turn, that of their strongest (<see cref="Cells"/>).</summary>
    /// <param name="count">How many are wanted; all, where there are no more.</param>
    /// <returns>The heads, largest |effect| first; equal ones by layer, then by head.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is not positive.</exception>
    public IReadOnlyList<(int Layer, int Head)> Top(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        var effects = from layer in Enumerable.Range(0, _layers)
                      from head in Enumerable.Range(0, _sums.Units)
                      select (Layer: layer, Head: head, Effect: Math.Abs(_sums.Effect(layer, _sums.Strongest(layer, head, _places), head).Effect));
        return [.. effects.OrderByDescending(unit => unit.Effect).ThenBy(unit => unit.Layer).ThenBy(unit => unit.Head).Take(count).Select(unit => (unit.Layer, unit.Head))];
    }

    /// <inheritdoc cref="Top(int)"/>
    /// <param name="count">How many are wanted; all, where there are no more.</param>
    /// <param name="pairs">The pairs of the sweep.</param>
    /// <param name="estimates">The estimates of every layer over every chunk, and the baselines of every pair.</param>
    /// <param name="options">What was estimated.</param>
    /// <param name="aggregation">How the pairs come together.</param>
    public static IReadOnlyList<(int Layer, int Head)> Top(
        int count, IReadOnlyList<TokenPair> pairs, SweepRuns estimates, PatchOptions options, Aggregation aggregation)
    {
        var screen = new Screen(PairsOverview.Of(pairs, estimates.Baselines), options, aggregation);
        foreach (PairRuns runs in SweepAssembler.PairByPair(estimates.Layers.Max(patches => patches.Layer) + 1, pairs, estimates))
        {
            screen.Add(runs);
        }

        return screen.Top(count);
    }
}
