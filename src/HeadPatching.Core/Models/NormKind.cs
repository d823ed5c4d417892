namespace HeadPatching.Core.Models;

/// <summary>The norm of the residual stream, of what is read from it, or of what is written into it.</summary>
public enum NormKind
{
    /// <summary>LayerNorm, with a scale and a shift (Ba et al. 2016).</summary>
    Layer,

    /// <summary>RMSNorm, with a scale alone (Zhang and Sennrich 2019).</summary>
    Rms,
}

/// <summary>Where a layer has its norms.</summary>
public enum NormPlace
{
    /// <summary>Of what attention and MLP read: x + f(norm(x)) (GPT-2 and most others).</summary>
    Before,

    /// <summary>Of what they read, and of what they write: x + norm(f(norm(x))) (Gemma 2 and 3).</summary>
    BeforeAndAfter,

    /// <summary>Of what they write alone: x + norm(f(x)) (OLMo 2).</summary>
    After,

    /// <summary>Of the stream with it: norm(x + f(x)) (Vaswani et al. 2017; the OPT of 350M).</summary>
    AfterSum,
}

/// <summary>The RMSNorm that queries and keys go through before they are turned by their positions (Henry et al. 2020).</summary>
public enum QueryKeyNorm
{
    /// <summary>None.</summary>
    None,

    /// <summary>Each query and each key by itself, over d_head (Qwen3, Gemma 3).</summary>
    EachHead,

    /// <summary>All queries of a position together, and all its keys (OLMo 2): what one head asks changes the length of what the others ask.</summary>
    AllHeads,
}
