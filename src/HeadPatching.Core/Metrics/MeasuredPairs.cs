using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Metrics;

/// <summary>What a metric may need of a chunk of pairs beside the run that it measures.</summary>
/// <param name="Pairs">The pairs.</param>
/// <param name="CleanFinal">The clean run's resid_post of the last layer at the last position, [pairs, d_model].</param>
public sealed record MeasuredPairs(IReadOnlyList<TokenPair> Pairs, Tensor CleanFinal);
