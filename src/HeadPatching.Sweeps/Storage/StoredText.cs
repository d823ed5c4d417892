namespace HeadPatching.Sweeps.Storage;

/// <summary>A small text as it was read from a store.</summary>
/// <param name="Text">The text.</param>
/// <param name="ETag">Its version, for <see cref="IArtifactStore.TryReplaceTextAsync"/>. Opaque; means nothing to another store.</param>
public sealed record StoredText(string Text, string ETag);
