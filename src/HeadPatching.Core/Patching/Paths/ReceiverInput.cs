namespace HeadPatching.Core.Patching.Paths;

/// <summary>Which input of a receiving head a path ends in.</summary>
public enum ReceiverInput
{
    /// <summary>The head's queries, <c>hook_q</c>.</summary>
    Q,

    /// <summary>The keys, <c>hook_k</c>.</summary>
    K,

    /// <summary>The values, <c>hook_v</c>.</summary>
    V,
}
