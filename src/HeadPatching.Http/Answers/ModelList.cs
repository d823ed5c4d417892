namespace HeadPatching.Http.Answers;

/// <summary>What there is to sweep.</summary>
/// <param name="Models">The models.</param>
/// <param name="Datasets">The built-in datasets.</param>
public sealed record ModelList(IReadOnlyList<ModelAnswer> Models, IReadOnlyList<DatasetAnswer> Datasets);
