namespace HeadPatching.Http.Answers;

/// <summary>The server answers and its store can be reached.</summary>
/// <param name="Status">Always <c>ok</c>; otherwise the answer is a problem.</param>
/// <param name="Version">The version of HeadPatching.</param>
public sealed record Health(string Status, string Version);
