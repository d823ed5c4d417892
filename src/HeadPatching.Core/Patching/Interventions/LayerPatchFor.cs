namespace HeadPatching.Core.Patching.Interventions;

/// <summary>What each <see cref="Patch"/> does.</summary>
public static class LayerPatchFor
{
    /// <summary>The patch of a layer that replaces what <paramref name="patch"/> names.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a value of the enumeration.</exception>
    public static ILayerPatch Patch(Patch patch) => patch switch
    {
        Patching.Patch.Z => new HeadPatch(new ReplaceZ()),
        Patching.Patch.Pattern => new HeadPatch(new ReplacePattern()),
        Patching.Patch.V => new HeadPatch(new ReplaceV()),
        Patching.Patch.Q => new HeadPatch(new ReplaceQ()),
        Patching.Patch.K => new HeadPatch(new ReplaceK()),
        _ => new LayerComponent(patch),
    };
}
