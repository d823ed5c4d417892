namespace HeadPatching.Core.Models;

/// <summary>The norm before attention, before the MLP and before the unembedding.</summary>
public enum NormKind
{
    /// <summary>LayerNorm, with a scale and a shift (Ba et al. 2016).</summary>
    Layer,

    /// <summary>RMSNorm, with a scale alone (Zhang and Sennrich 2019).</summary>
    Rms,
}
