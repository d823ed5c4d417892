namespace HeadPatching.Core.Results;

/// <summary>A sweep that is put together.</summary>
/// <param name="Result">Its result.</param>
/// <param name="PairByPair">The runs of every pair, in no order; read anew by each that goes over them.</param>
public sealed record FinishedSweep(SweepResult Result, IAsyncEnumerable<PairRuns> PairByPair);

/// <summary>A file that is made of a finished sweep alone, the same for the same sweep.</summary>
/// <param name="Name">Its name, such as <c>heads.csv</c>; it can be a segment of an artifact's name.</param>
/// <param name="ContentType">Its media type, as HTTP says it.</param>
/// <param name="WriteAsync">Writes it to a stream, from where that stands.</param>
public sealed record ResultFile(string Name, string ContentType, Func<FinishedSweep, Stream, CancellationToken, Task> WriteAsync)
{
    /// <summary>Whether it has the numbers of every pair, however many there are.</summary>
    public bool HoldsPairs { get; init; }
}
