namespace HeadPatching.Sweeps.Activities;

/// <summary>The activities' names, the same in both engines.</summary>
public static class ActivityNames
{
    /// <summary>See <see cref="Activities.PlanSweep"/>.</summary>
    public const string PlanSweep = nameof(PlanSweep);

    /// <summary>See <see cref="Activities.CacheActivations"/>.</summary>
    public const string CacheActivations = nameof(CacheActivations);

    /// <summary>See <see cref="Activities.EstimateEffects"/>.</summary>
    public const string EstimateEffects = nameof(EstimateEffects);

    /// <summary>See <see cref="Activities.ScreenHeads"/>.</summary>
    public const string ScreenHeads = nameof(ScreenHeads);

    /// <summary>See <see cref="Activities.PatchLayer"/>.</summary>
    public const string PatchLayer = nameof(PatchLayer);

    /// <summary>See <see cref="Activities.AssembleSweep"/>.</summary>
    public const string AssembleSweep = nameof(AssembleSweep);
}
