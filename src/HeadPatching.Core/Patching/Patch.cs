namespace HeadPatching.Core.Patching;

/// <summary>Which activation of a head is replaced, in TransformerLens's names.</summary>
public enum Patch
{
    /// <summary>The head's output before W_O, <c>hook_z</c>.</summary>
    Z,

    /// <summary>The softmaxed attention, <c>hook_pattern</c>.</summary>
    Pattern,

    /// <summary>The value vectors, <c>hook_v</c>.</summary>
    V,

    /// <summary>The query vectors before any rotary embedding, <c>hook_q</c>.</summary>
    Q,

    /// <summary>The key vectors before any rotary embedding, <c>hook_k</c>.</summary>
    K,
}
