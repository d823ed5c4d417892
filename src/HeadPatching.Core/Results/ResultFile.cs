namespace HeadPatching.Core.Results;

/// <summary>A file that is made of a sweep's result alone, the same for the same result.</summary>
/// <param name="Name">Its name, such as <c>heads.csv</c>; it can be a segment of an artifact's name.</param>
/// <param name="ContentType">Its media type, as HTTP says it.</param>
/// <param name="WriteAsync">Writes it to a stream, from where that stands.</param>
public sealed record ResultFile(string Name, string ContentType, Func<SweepResult, Stream, CancellationToken, Task> WriteAsync);
