namespace HeadPatching.Sweeps.Engine;

/// <summary>What became of a wish to be rid of a sweep.</summary>
public enum Removal
{
    /// <summary>There is no such sweep.</summary>
    Unknown,

    /// <summary>It was running and is being stopped; its finished layers stay.</summary>
    Cancelling,

    /// <summary>It had ended, and its artifacts are gone (cached activations stay for other sweeps).</summary>
    Deleted,
}
