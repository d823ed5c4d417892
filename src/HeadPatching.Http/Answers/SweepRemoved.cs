namespace HeadPatching.Http.Answers;

/// <summary>What became of a wish to be rid of a sweep, or of a series.</summary>
/// <param name="Id">The sweep or series.</param>
/// <param name="Removal">
/// <c>cancelling</c>: it was running and stops soon; <c>deleted</c>: it had ended, and its artifacts are gone. Of several at once also
/// <c>unknown</c>: there is no such sweep; <c>failed</c>: the store failed, and the same call may do better later.
/// </param>
public sealed record SweepRemoved(string Id, string Removal);

/// <summary>What became of several.</summary>
/// <param name="Sweeps">Each, in the order of the request.</param>
public sealed record SweepsRemoved(IReadOnlyList<SweepRemoved> Sweeps);
