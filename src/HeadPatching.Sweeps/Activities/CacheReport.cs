namespace HeadPatching.Sweeps.Activities;

/// <summary>What caching a chunk did.</summary>
/// <param name="Chunk">The chunk.</param>
/// <param name="ForwardPasses">Prompts that were run through the model; 0 where the activations were there already.</param>
public sealed record CacheReport(int Chunk, int ForwardPasses);
