namespace HeadPatching.Http.Answers;

/// <summary>The sweeps that there are.</summary>
/// <param name="Sweeps">Newest first.</param>
public sealed record SweepList(IReadOnlyList<SweepAnswer> Sweeps);
