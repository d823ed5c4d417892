using HeadPatching.Core.Faults;

namespace HeadPatching.Http.Requests;

/// <summary>The faults of a request: all are counted, and as many kept as an answer lists.</summary>
internal sealed class FaultList
{
    /// <summary>An answer lists at most so many.</summary>
    public const int Listed = 100;

    private const int LongestPath = 200;
    private readonly List<Fault> _faults = [];

    /// <summary>How many there were.</summary>
    public int Count { get; private set; }

    /// <summary>The first ones.</summary>
    public IReadOnlyList<Fault> First => _faults;

    /// <summary>Adds one.</summary>
    public void Add(string kind, string path, string message) => Add(new Fault(kind, path, message));

    /// <summary>Adds several.</summary>
    public void AddRange(IEnumerable<Fault> faults)
    {
        foreach (Fault fault in faults)
        {
            Add(fault);
        }
    }

    private void Add(Fault fault)
    {
        Count++;
        if (_faults.Count < Listed)
        {
            // A path ends in a name that the caller made up, of any length.
            _faults.Add(fault.Where.Length <= LongestPath ? fault : fault with { Where = fault.Where[..LongestPath] + "…" });
        }
    }
}
