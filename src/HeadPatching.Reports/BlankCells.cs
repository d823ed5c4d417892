using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports;

/// <summary>
/// Where a patch cannot have an effect, whatever the model: before the prompts first differ (both runs are the same there), at earlier positions where
/// nothing looks at them any more, and in layers from which no path leads to the receivers. Such a cell is blank, which is another thing than an effect of 0.
/// The page's script says the same of single pairs.
/// </summary>
internal sealed class BlankCells
{
    private readonly SweepResult _result;
    private readonly Reach[] _reach;                                          // by layer
    private readonly (PairResult Pair, int FirstDifference)[] _pairs;

    public BlankCells(SweepResult result)
    {
        _result = result;
        _reach = [.. Enumerable.Range(0, result.Model.Layers).Select(result.ReachOf)];
        _pairs = [.. result.Pairs.Select(pair => (pair, FirstDifference(pair)))];
    }

    /// <summary>Whether a patch changes positions before the prompts first differ, as an ablation does.</summary>
    public static bool ChangesBeforeDifference(SweepResult result) => result.Ablation is not null;

    /// <summary>Whether an effect over all pairs is of a patch that could have none.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="positionIn">The patched position of a pair: negative where it has none; null where it is not one position.</param>
    /// <param name="effect">The effect.</param>
    public bool IsBlank(int layer, Func<PairResult, int?> positionIn, double effect)
    {
        if (effect != 0 || _reach[layer] == Reach.Nothing)
        {
            return effect == 0;
        }

        bool any = false;
        foreach (var (pair, firstDifference) in _pairs)
        {
            int? at = positionIn(pair);
            if (at is null || CanChange(pair, firstDifference, layer, at.Value))
            {
                return false;
            }

            any |= at >= 0;
        }

        return any;
    }

    /// <summary>The same of a sweep's only place: all positions, or one.</summary>
    public bool IsBlank(int layer, double effect) => IsBlank(
        layer,
        pair => _result.Positions switch
        {
            { Index: int index } => index < 0 ? pair.CleanTokens.Count + index : index,
            { Role: string role } => pair.Roles?.GetValueOrDefault(role, -1) ?? -1,
            _ => null,
        },
        effect);

    private bool CanChange(PairResult pair, int firstDifference, int layer, int position) =>
        position >= 0
        && (ChangesBeforeDifference(_result) || position >= firstDifference)
        && (_reach[layer] != Reach.LastPosition || position == pair.CleanTokens.Count - 1);

    private static int FirstDifference(PairResult pair) =>
        pair.CleanTokens.Zip(pair.CorruptedTokens).TakeWhile(tokens => tokens.First == tokens.Second).Count();
}
