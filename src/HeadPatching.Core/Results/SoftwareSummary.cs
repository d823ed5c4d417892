namespace HeadPatching.Core.Results;

/// <summary>The software that made a result.</summary>
/// <param name="Version">HeadPatching's version.</param>
public sealed record SoftwareSummary(string Version);
