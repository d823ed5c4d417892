namespace HeadPatching.Core.Patching.Paths;

/// <summary>Which input a path or an edge ends in: one of a head's three, or that of an MLP.</summary>
public enum ReceiverInput
{
    /// <summary>The head's queries, <c>hook_q</c>.</summary>
    Q,

    /// <summary>The keys, <c>hook_k</c>.</summary>
    K,

    /// <summary>The values, <c>hook_v</c>.</summary>
    V,

    /// <summary>What a layer's MLP reads, <c>hook_mlp_in</c>.</summary>
    Mlp,
}
