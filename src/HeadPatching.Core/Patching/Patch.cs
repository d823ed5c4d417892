using System.Text.Json.Serialization;

namespace HeadPatching.Core.Patching;

/// <summary>Which activation is replaced, in TransformerLens's names: of each head (the first five), or of each layer as a whole.</summary>
public enum Patch
{
    /// <summary>The head's output before W_O, <c>hook_z</c>.</summary>
    Z,

    /// <summary>The softmaxed attention, <c>hook_pattern</c>.</summary>
    Pattern,

    /// <summary>The value vectors, <c>hook_v</c>; in a grouped-query model of each key/value head.</summary>
    V,

    /// <summary>The query vectors before any rotary embedding, <c>hook_q</c>.</summary>
    Q,

    /// <summary>The key vectors before any rotary embedding, <c>hook_k</c>; in a grouped-query model of each key/value head.</summary>
    K,

    /// <summary>What all heads of a layer write together, <c>hook_attn_out</c>.</summary>
    [JsonStringEnumMemberName("attn_out")]
    AttnOut,

    /// <summary>What the MLP of a layer writes, <c>hook_mlp_out</c>.</summary>
    [JsonStringEnumMemberName("mlp_out")]
    MlpOut,

    /// <summary>The residual stream before a layer, <c>hook_resid_pre</c>.</summary>
    [JsonStringEnumMemberName("resid_pre")]
    ResidPre,

    /// <summary>The residual stream between attention and MLP, <c>hook_resid_mid</c>; a model with parallel blocks has none.</summary>
    [JsonStringEnumMemberName("resid_mid")]
    ResidMid,

    /// <summary>The residual stream after a layer, <c>hook_resid_post</c>.</summary>
    [JsonStringEnumMemberName("resid_post")]
    ResidPost,
}
