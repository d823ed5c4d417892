using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Patching;

/// <summary>What is patched, where, and which way.</summary>
public sealed record PatchOptions
{
    /// <summary>Which activation is replaced. Default: z.</summary>
    public Patch Patch { get; init; } = Patch.Z;

    /// <summary>What is put in instead of the other run's activation; null: the other run's. Of z alone.</summary>
    public Ablation? Ablation { get; init; }

    /// <summary>Where. Default: all positions at once.</summary>
    public Positions Positions { get; init; } = Positions.All;

    /// <summary>Which run is patched. Default: denoise, clean into corrupted.</summary>
    public Direction Direction { get; init; } = Direction.Denoise;

    /// <summary>
    /// With mean and resample ablation, the pairs whose corrupted prompts means are over and donors are drawn from; null: the swept pairs' own
    /// runs.
    /// </summary>
    public IReadOnlyList<TokenPair>? References { get; init; }

    /// <summary>With resample ablation, the seed that donors are drawn with.</summary>
    public int Seed { get; init; }
}
