namespace HeadPatching.Core.Patching.Interventions;

/// <summary>The intervention of each <see cref="Patch"/>.</summary>
public static class InterventionFor
{
    /// <summary>The intervention that replaces what <paramref name="patch"/> names.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a value of the enumeration.</exception>
    public static IIntervention Patch(Patch patch) => patch switch
    {
        Patching.Patch.Z => new ReplaceZ(),
        Patching.Patch.Pattern => new ReplacePattern(),
        Patching.Patch.V => new ReplaceV(),
        Patching.Patch.Q => new ReplaceQ(),
        Patching.Patch.K => new ReplaceK(),
        _ => throw new ArgumentOutOfRangeException(nameof(patch), patch, null),
    };
}
