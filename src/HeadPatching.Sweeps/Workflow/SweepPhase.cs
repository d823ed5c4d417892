namespace HeadPatching.Sweeps.Workflow;

/// <summary>What a sweep is doing.</summary>
public enum SweepPhase
{
    /// <summary>Validating, tokenising, cutting into chunks.</summary>
    Planning,

    /// <summary>Running the clean and corrupted prompts.</summary>
    Caching,

    /// <summary>Estimating every effect from a gradient, with the methods <c>attribution</c>, <c>screen</c> and <c>adaptive</c>.</summary>
    Estimating,

    /// <summary>Patching heads.</summary>
    Patching,

    /// <summary>Patching sets of nodes together, in rounds: those that were asked for, and those that a circuit is looked for and proved with.</summary>
    PatchingSets,

    /// <summary>Putting the result together.</summary>
    Assembling,

    /// <summary>Everything is written.</summary>
    Done,
}
