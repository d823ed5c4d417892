namespace HeadPatching.Core.Patching;

/// <summary>Which run is patched with which run's activation.</summary>
public enum Direction
{
    /// <summary>Clean activations into the corrupted run: what restores the behaviour.</summary>
    Denoise,

    /// <summary>Corrupted activations into the clean run: what breaks the behaviour.</summary>
    Noise,
}
