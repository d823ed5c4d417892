using HeadPatching.Core.Faults;

namespace HeadPatching.Http.Requests;

/// <summary>A request is refused with 400.</summary>
/// <param name="faults">The first faults.</param>
/// <param name="count">How many there were.</param>
internal sealed class RefusedRequestException(IReadOnlyList<Fault> faults, int count) : Exception
{
    public IReadOnlyList<Fault> Faults { get; } = faults;

    public int Count { get; } = count;
}
