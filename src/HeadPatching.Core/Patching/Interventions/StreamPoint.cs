namespace HeadPatching.Core.Patching.Interventions;

/// <summary>A point of the residual stream within a layer: <c>resid_pre -> + attn_out -> resid_mid -> + mlp_out -> resid_post</c>.</summary>
public enum StreamPoint
{
    /// <summary>Before the layer.</summary>
    Pre,

    /// <summary>Between attention and MLP; there is no such point where the residual is parallel.</summary>
    Mid,

    /// <summary>After the layer.</summary>
    Post,
}
