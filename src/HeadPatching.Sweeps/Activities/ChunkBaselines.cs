using HeadPatching.Core.Patching;

namespace HeadPatching.Sweeps.Activities;

/// <summary>The unpatched metrics of a chunk, as they lie beside its activations.</summary>
/// <param name="Baselines">One a pair, in the chunk's order.</param>
/// <param name="Seconds">How long the clean and corrupted runs took.</param>
public sealed record ChunkBaselines(IReadOnlyList<Baseline> Baselines, double Seconds);
