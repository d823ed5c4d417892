namespace HeadPatching.Sweeps.Plans;

/// <summary>A chunk of pairs that run as one batch.</summary>
/// <param name="Pairs">The places of its pairs in the plan's list.</param>
/// <param name="Activations">
/// The folder of its cached activations in the store. It is named after the model's and the prompts' fingerprints, so another sweep with the
/// same ones finds them there.
/// </param>
public sealed record PlannedChunk(IReadOnlyList<int> Pairs, string Activations);
