using HeadPatching.Core.Faults;

namespace HeadPatching.Sweeps.Engine;

/// <summary>Why a sweep failed.</summary>
/// <param name="Message">One sentence.</param>
/// <param name="Faults">What was wrong with the input, where that is why; otherwise empty.</param>
public sealed record SweepError(string Message, IReadOnlyList<Fault> Faults)
{
    /// <summary>The message where the input is why.</summary>
    public const string InvalidRequest = "The request cannot be swept.";
}
