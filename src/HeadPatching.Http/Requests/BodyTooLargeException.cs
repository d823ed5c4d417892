namespace HeadPatching.Http.Requests;

/// <summary>A request is refused with 413.</summary>
internal sealed class BodyTooLargeException : Exception;
