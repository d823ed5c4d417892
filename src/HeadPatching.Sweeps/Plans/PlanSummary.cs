namespace HeadPatching.Sweeps.Plans;

/// <summary>The size of a sweep: what the workflow needs to fan out.</summary>
/// <param name="Layers">Layers of the model.</param>
/// <param name="Chunks">Chunks of pairs.</param>
public sealed record PlanSummary(int Layers, int Chunks);
