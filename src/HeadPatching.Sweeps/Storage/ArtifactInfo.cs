namespace HeadPatching.Sweeps.Storage;

/// <summary>One artifact of a listing.</summary>
/// <param name="Name">Its full name.</param>
/// <param name="Length">Its length in bytes.</param>
/// <param name="LastModified">When it was written.</param>
public sealed record ArtifactInfo(string Name, long Length, DateTimeOffset LastModified);
