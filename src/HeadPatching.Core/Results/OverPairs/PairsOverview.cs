using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>
/// What the effects over pairs have to know of all pairs before the first is taken in: what their prompts have in common, and the metrics of their
/// unpatched runs. Where a sweep is read chunk by chunk, this is all that grows with the number of pairs, by 20 bytes each.
/// </summary>
public sealed class PairsOverview
{
    private readonly int[] _indices;                                          // by place
    private readonly Baseline[] _baselines;

    /// <summary>For so many pairs, to be taken in one by one.</summary>
    public PairsOverview(int pairs)
    {
        _indices = new int[pairs];
        _baselines = new Baseline[pairs];
    }

    /// <summary>The overview of pairs that are at hand.</summary>
    /// <param name="pairs">The pairs, in the order of the result.</param>
    /// <param name="baselines">Their unpatched metrics, by the pair's index.</param>
    /// <exception cref="ArgumentException">A pair has no baseline.</exception>
    public static PairsOverview Of(IReadOnlyList<TokenPair> pairs, IReadOnlyDictionary<int, Baseline> baselines)
    {
        var overview = new PairsOverview(pairs.Count);
        foreach (var (place, pair) in pairs.Index())
        {
            overview.Add(
                place, pair, baselines.TryGetValue(pair.Index, out Baseline baseline) ? baseline : throw new ArgumentException($"The runs of pair {pair.Index} are not complete.", nameof(baselines)));
        }

        return overview;
    }

    /// <summary>What the prompts have in common.</summary>
    public PairShapes Shapes { get; } = new();

    /// <summary>How many pairs there are.</summary>
    public int Count => _indices.Length;

    /// <summary>The pairs' indices in the dataset and their unpatched metrics, in the order of the result.</summary>
    public IEnumerable<(int Index, Baseline Baseline)> Baselines => _indices.Zip(_baselines);

    /// <summary>Takes in a pair.</summary>
    /// <param name="place">Its place in the result.</param>
    /// <param name="pair">The pair.</param>
    /// <param name="baseline">Its unpatched metrics.</param>
    public void Add(int place, TokenPair pair, Baseline baseline)
    {
        _indices[place] = pair.Index;
        _baselines[place] = baseline;
        Shapes.Add(place, pair);
    }
}
