using System.Globalization;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports;

/// <summary>The heatmap of a result as it is shown, the same in the picture, the report, on the terminal and in heatmap.csv.</summary>
public sealed record HeatmapTable
{
    private readonly IReadOnlyList<string>? _names;

    internal HeatmapTable(HeatmapColumns columns, double[][] effects, IReadOnlyList<string>? names = null)
    {
        Columns = columns;
        Effects = effects;
        _names = names;
    }

    /// <summary>What the columns are.</summary>
    public HeatmapColumns Columns { get; }

    /// <summary>The effects, [layer][column].</summary>
    public double[][] Effects { get; }

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

        bool roles = result.HeatmapByRole is not null && (result.HeatmapByPosition is null || result.Heads.Any(head => head.Role is not null));
        return new HeatmapTable(
            roles ? HeatmapColumns.Roles : HeatmapColumns.Positions,
            [.. (roles ? result.HeatmapByRole : result.HeatmapByPosition)!.Select(layer => layer.Select(place => place[0]).ToArray())],
            roles ? [.. result.Roles!.Select(role => role.Name)] : null);
    }

    /// <summary>The table of a result whose columns are what was patched in a layer; with positions <c>each</c> the strongest of each.</summary>
    public static HeatmapTable WithoutPositions(SweepResult result)
    {
        bool grouped = result.Patch is Patch.K or Patch.V && result.Model.KeyValueHeads is not null;
        return new HeatmapTable(
            result.Patch.IsOfLayer() ? HeatmapColumns.Layer : grouped ? HeatmapColumns.KeyValueHeads : HeatmapColumns.Heads,
            result.Heatmap);
    }

    /// <summary>A column's name: <c>H3</c>, <c>KV1</c>, <c>P10</c>, <c>S2</c>, or <c>layer</c>.</summary>
    public string NameOf(int column) => Columns == HeatmapColumns.Layer ? "layer" : Letter + LabelOf(column);

    /// <summary>What stands at a column: its number, or the name of the role or position.</summary>
    public string LabelOf(int column) => _names?[column] ?? column.ToString(CultureInfo.InvariantCulture);
}
