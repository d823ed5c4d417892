namespace HeadPatching.Http.Answers;

/// <summary>What DELETE did.</summary>
/// <param name="Id">The sweep.</param>
/// <param name="Removal"><c>cancelling</c>: it was running and stops soon; <c>deleted</c>: it had ended, and its artifacts are gone.</param>
public sealed record SweepRemoved(string Id, string Removal);
