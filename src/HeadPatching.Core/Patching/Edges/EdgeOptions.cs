namespace HeadPatching.Core.Patching.Edges;

/// <summary>How edges are patched. It is at all positions at once.</summary>
public sealed record EdgeOptions
{
    /// <summary>Which run is patched. Default: denoise, clean into corrupted.</summary>
    public Direction Direction { get; init; } = Direction.Denoise;

    /// <summary>
    /// Whether receivers of keys and values are those of query heads, also where these share them: the key as one query head alone sees it (the edges
    /// as EAP-IG counts them). Default: those of key/value heads, and what one receives all query heads see that share it.
    /// </summary>
    public bool Ungrouped { get; init; }
}

/// <summary>What patched edges gave over a chunk of pairs.</summary>
/// <param name="PairIndices">The pairs, by their indices in the dataset.</param>
/// <param name="Metric">The metric of each edge's run on each pair, [edge][pair], in the order in which the edges were given.</param>
/// <param name="PatchedRuns">How many runs were made; where an edge cannot change anything, none is.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record EdgePatches(IReadOnlyList<int> PairIndices, double[][] Metric, long PatchedRuns, double Seconds);
