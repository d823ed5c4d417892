namespace HeadPatching.Core.Patching;

/// <summary>What is put in place of a head's z where it is not the other run's.</summary>
public enum Ablation
{
    /// <summary>Zeros.</summary>
    Zero,

    /// <summary>The mean over the dataset of the head's z at that position, in the run that is patched.</summary>
    Mean,

    /// <summary>The z that the head has in the same run of another pair of the same length, drawn with the sweep's seed.</summary>
    Resample,
}
