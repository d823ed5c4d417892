using HeadPatching.Core.Patching.Patterns;

namespace HeadPatching.Core.Results;

/// <summary>A sweep that is put together.</summary>
/// <param name="Result">Its result.</param>
/// <param name="PairByPair">The runs of every pair, in no order; read anew by each that goes over them.</param>
public sealed record FinishedSweep(SweepResult Result, IAsyncEnumerable<PairRuns> PairByPair)
{
    /// <summary>The attention patterns of its strongest heads on some of its pairs; none where there are none.</summary>
    public IReadOnlyList<PairPatterns> Patterns { get; init; } = [];
}

/// <summary>A file that is made of a finished sweep alone, the same for the same sweep.</summary>
/// <param name="Name">Its name, such as <c>heads.csv</c>; it can be a segment of an artifact's name.</param>
/// <param name="ContentType">Its media type, as HTTP says it.</param>
/// <param name="WriteAsync">Writes it to a stream, from where that stands.</param>
public sealed record ResultFile(string Name, string ContentType, Func<FinishedSweep, Stream, CancellationToken, Task> WriteAsync)
{
    /// <summary>Whether it has the numbers of every pair, however many there are.</summary>
    public bool HoldsPairs { get; init; }

    /// <summary>Whether it shows attention patterns: it is written when they are there.</summary>
    public bool ShowsPatterns { get; init; }
}
