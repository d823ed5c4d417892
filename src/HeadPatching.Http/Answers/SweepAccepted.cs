using HeadPatching.Sweeps.Engine;

namespace HeadPatching.Http.Answers;

/// <summary>The answer to a request that became a sweep, or was one already.</summary>
/// <param name="Id">The sweep's id.</param>
/// <param name="Status">Where it stands.</param>
/// <param name="Links">Where its parts are.</param>
public sealed record SweepAccepted(string Id, SweepState Status, SweepLinks Links);
