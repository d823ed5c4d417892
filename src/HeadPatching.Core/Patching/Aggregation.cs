namespace HeadPatching.Core.Patching;

/// <summary>How the effects of a head on the pairs become one number.</summary>
public enum Aggregation
{
    /// <summary>
    /// The mean of the per-pair effects over the well-conditioned pairs: those whose |clean - corrupted| is at least a tenth of the median
    /// pair's. Where all are, it is the mean of ratios.
    /// </summary>
    WellConditionedMean,

    /// <summary>The mean of the per-pair effects over all pairs that have one, those with hardly any difference to divide by as well.</summary>
    MeanOfRatios,

    /// <summary>The metrics' means over pairs first, then the effect of the means (as the published IOI matrices).</summary>
    RatioOfMeans,
}
