namespace HeadPatching.Reports;

/// <summary>What the columns of a heatmap are; its rows are layers, or heads.</summary>
public enum HeatmapColumns
{
    /// <summary>A layer's heads.</summary>
    Heads,

    /// <summary>A layer's key/value heads, each of which serves several heads.</summary>
    KeyValueHeads,

    /// <summary>One column: each layer as a whole.</summary>
    Layer,

    /// <summary>The positions of the prompts, where a layer as a whole was patched at each in turn.</summary>
    Positions,

    /// <summary>The roles that the pairs name, where a layer as a whole was patched at each in turn and positions are not the same place in all pairs.</summary>
    Roles,
}
