using System.Globalization;
using HeadPatching.Core.Results.Comparing;

namespace HeadPatching.Reports.Comparing;

/// <summary>
/// The differences of a comparison as a heatmap: layers by what was patched in each; layers as a whole at several places, layers by places. Of heads
/// at several places each cell is of the place of largest |difference|.
/// </summary>
/// <param name="Table">The heatmap.</param>
/// <param name="Heads">Of each cell, which of the comparison's heads it is, [layer][column].</param>
public sealed record DifferenceTable(HeatmapTable Table, int[][] Heads)
{
    /// <summary>The table of a comparison.</summary>
    public static DifferenceTable Of(SweepComparison comparison)
    {
        bool ofLayers = comparison.Heads[0].Head is null;
        string?[] places = [.. comparison.Heads.Select(PlaceOf).Distinct()];
        int[][] heads =
        [
            .. comparison.Heads.Index().GroupBy(head => head.Item.Layer).OrderBy(layer => layer.Key).Select(layer => ofLayers
                ? layer.Select(head => head.Index).ToArray()
                : [.. layer.GroupBy(head => head.Item.Head).Select(head => head.MaxBy(place => Math.Abs(place.Item.Difference ?? 0)).Index)]),
        ];
        bool byRole = comparison.Heads[0].Role is not null;
        HeatmapColumns columns = ofLayers ? places.Length == 1 ? HeatmapColumns.Layer : byRole ? HeatmapColumns.Roles : HeatmapColumns.Positions
            : comparison.Unit == "head" ? HeatmapColumns.Heads
            : HeatmapColumns.KeyValueHeads;
        return new DifferenceTable(
            new HeatmapTable(columns, [.. heads.Select(layer => layer.Select(head => comparison.Heads[head].Difference ?? 0).ToArray())], ofLayers && places.Length > 1 ? [.. places.Select(place => place!)] : null),
            heads);
    }

    private static string? PlaceOf(HeadDifference head) => head.Role ?? head.Position?.ToString(CultureInfo.InvariantCulture);
}
