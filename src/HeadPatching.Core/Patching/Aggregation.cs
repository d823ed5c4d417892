namespace HeadPatching.Core.Patching;

/// <summary>How the effects of a head on the pairs become one number.</summary>
public enum Aggregation
{
    /// <summary>The mean over pairs of the per-pair effects.</summary>
    MeanOfRatios,

    /// <summary>The metrics' means over pairs first, then the effect of the means (as the published IOI matrices).</summary>
    RatioOfMeans,
}
