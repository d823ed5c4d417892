using HeadPatching.Core.Patching;

namespace HeadPatching.Sweeps.Plans;

/// <summary>The size and kind of a sweep: what the workflow needs to fan out.</summary>
/// <param name="Layers">Layers of the model.</param>
/// <param name="Chunks">Chunks of pairs.</param>
/// <param name="Method">How effects are found.</param>
public sealed record PlanSummary(int Layers, int Chunks, Method Method = Method.Exact);
