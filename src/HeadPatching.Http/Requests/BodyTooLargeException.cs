namespace HeadPatching.Http.Requests;

/// <summary>A request is refused with 413.</summary>
/// <param name="mostBytes">How large its body may be.</param>
internal sealed class BodyTooLargeException(int mostBytes) : Exception
{
    public int MostBytes { get; } = mostBytes;
}
