namespace HeadPatching.Core.Models;

/// <summary>What a model folder holds.</summary>
/// <param name="Config">The model's shape.</param>
/// <param name="WeightFiles">The weight files, in the order they are read.</param>
/// <param name="Parameters">Number of weights.</param>
public sealed record ModelFolderSummary(ModelConfig Config, IReadOnlyList<string> WeightFiles, long Parameters);
