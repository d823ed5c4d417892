using System.Globalization;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports;

/// <summary>The heatmap of a result as it is shown, the same in the picture, the report, on the terminal and in heatmap.csv.</summary>
public sealed record HeatmapTable
{
    /// <summary>A picture of heads by position has a row for so many, those of the largest effects.</summary>
    public const int MostHeadsByPosition = 24;

    private readonly IReadOnlyList<string>? _names;                           // of the columns
    private readonly bool[][]? _blank;                                        // [row][column]

    internal HeatmapTable(HeatmapColumns columns, double[][] effects, IReadOnlyList<string>? names = null, bool[][]? blank = null)
    {
        Columns = columns;
        Effects = effects;
        _names = names;
        _blank = blank;
    }

    /// <summary>What the columns are.</summary>
    public HeatmapColumns Columns { get; }

    /// <summary>The effects, [row][column]; a row is a layer, unless <see cref="RowNames"/> says otherwise.</summary>
    public double[][] Effects { get; }

    /// <summary>What the rows are called, such as <c>L9H6</c>, where they are heads; null where they are the layers.</summary>
    public IReadOnlyList<string>? RowNames { get; private init; }

    /// <summary>What stands at the positions in the first pair, where columns are positions of texts; a token that differs is <c>clean/corrupted</c>.</summary>
    public IReadOnlyList<string>? Tokens { get; private init; }

    /// <summary>Whether no patch of a cell can have an effect: then there is nothing to show, not even a 0.</summary>
    public bool IsBlank(int row, int column) => _blank?[row][column] ?? false;

    /// <summary>Whether any cell is blank.</summary>
    public bool HasBlanks() => _blank is not null && _blank.Any(row => row.Contains(true));

    /// <summary>How many columns there are.</summary>
    public int Width => Effects.Max(layer => layer.Length);

    /// <summary>What the axis of the columns is called; null where there is only one column, which needs no name.</summary>
    public string? Axis => Columns switch
    {
        HeatmapColumns.Heads => "Head",
        HeatmapColumns.KeyValueHeads => "Key/value head",
        HeatmapColumns.Positions => "Position",
        HeatmapColumns.Roles => "Role",
        _ => null,
    };

    /// <summary>What stands before a column's number: <c>H</c>, <c>KV</c> or <c>P</c>; nothing where there is only one column, or columns have names.</summary>
    public string Letter => Columns switch
    {
        HeatmapColumns.Heads => "H",
        HeatmapColumns.KeyValueHeads => "KV",
        HeatmapColumns.Positions => "P",
        _ => "",
    };

    /// <summary>What one of the things that were patched is called.</summary>
    public string Unit => Columns switch
    {
        HeatmapColumns.Heads => "head",
        HeatmapColumns.KeyValueHeads => "key/value head",
        _ => "layer",
    };

    /// <summary>
    /// The table of a result. Where layers as a whole were patched at each position of pairs of one length, its columns are the positions; where
    /// at each role, or at each position of pairs of several forms that name roles, the roles; otherwise they are what was patched in a layer.
    /// </summary>
    public static HeatmapTable Of(SweepResult result)
    {
        if (!result.Patch.IsOfLayer() || (result.HeatmapByPosition ?? result.HeatmapByRole) is null)
        {
            return WithoutPositions(result);
        }

        return ByPlace(result, [.. Enumerable.Range(0, result.Heatmap.Length).Select(layer => (layer, 0))], rowNames: null);
    }

    /// <summary>
    /// The table as the pictures show it: of heads that were patched at each place, the strongest by position (or role); otherwise <see cref="Of"/>.
    /// </summary>
    public static HeatmapTable ForPicture(SweepResult result)
    {
        if (result.Patch.IsOfLayer() || (result.HeatmapByPosition ?? result.HeatmapByRole) is null)
        {
            return Of(result);
        }

        HeadResult[] heads = [.. result.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(MostHeadsByPosition)];
        return ByPlace(result, [.. heads.Select(head => (head.Layer, head.Head!.Value))], [.. heads.Select(head => head.Name)]);
    }

    private static HeatmapTable ByPlace(SweepResult result, IReadOnlyList<(int Layer, int Unit)> rows, IReadOnlyList<string>? rowNames)
    {
        bool roles = result.HeatmapByRole is not null && (result.HeatmapByPosition is null || result.Heads.Any(head => head.Role is not null));
        double[][][] places = (roles ? result.HeatmapByRole : result.HeatmapByPosition)!;
        var blanks = new BlankCells(result);
        double[][] effects = [.. rows.Select(row => places[row.Layer].Select(place => place[row.Unit]).ToArray())];
        bool[][] blank = [.. rows.Index().Select(row => effects[row.Index].Index().Select(cell => blanks.IsBlank(row.Item.Layer, PositionIn(cell.Index), cell.Item)).ToArray())];
        return new HeatmapTable(roles ? HeatmapColumns.Roles : HeatmapColumns.Positions, effects, roles ? [.. result.Roles!.Select(role => role.Name)] : null, blank)
        {
            RowNames = rowNames,
            Tokens = !roles && result.Pairs is [{ CleanTokenTexts: { } clean, CorruptedTokenTexts: { } corrupted }, ..] && clean.Count == places[0].Length
                ? [.. clean.Zip(corrupted, (own, other) => own == other ? own : $"{own}/{other.TrimStart()}")]
                : null,
        };

        Func<PairResult, int?> PositionIn(int place) => pair => roles ? pair.Roles?.GetValueOrDefault(result.Roles![place].Name, -1) ?? -1 : place;
    }

    /// <summary>The table of a result whose columns are what was patched in a layer; with positions <c>each</c> the strongest of each.</summary>
    public static HeatmapTable WithoutPositions(SweepResult result)
    {
        var blanks = new BlankCells(result);
        bool grouped = result.Patch is Patch.K or Patch.V && result.Model.KeyValueHeads is not null;
        return new HeatmapTable(
            result.Patch.IsOfLayer() ? HeatmapColumns.Layer : grouped ? HeatmapColumns.KeyValueHeads : HeatmapColumns.Heads,
            result.Heatmap,
            blank: [.. result.Heatmap.Index().Select(layer => layer.Item.Select(effect => blanks.IsBlank(layer.Index, effect)).ToArray())]);
    }

    /// <summary>A column's name: <c>H3</c>, <c>KV1</c>, <c>P10</c>, <c>S2</c>, or <c>layer</c>.</summary>
    public string NameOf(int column) => Columns == HeatmapColumns.Layer ? "layer" : Letter + LabelOf(column);

    /// <summary>What stands at a column: its number, or the name of the role or position.</summary>
    public string LabelOf(int column) => _names?[column] ?? column.ToString(CultureInfo.InvariantCulture);
}
