namespace HeadPatching.Core.Faults;

/// <summary>
/// The pointers that Git leaves in place of large files where a repository was cloned without Git LFS: short texts that name a hash.
/// </summary>
/// <remarks>The form: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.</remarks>
internal static class GitLfs
{
    /// <summary>How a pointer begins.</summary>
    public static ReadOnlySpan<byte> Begin => "version https://git-lfs.github.com/spec/v1"u8;

    /// <summary>Refuses a pointer in place of a file.</summary>
    /// <param name="bytes">The file's first bytes, as many as <see cref="Begin"/> has or more.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="InvalidInputException">It is one.</exception>
    public static void RefusePointer(ReadOnlySpan<byte> bytes, string path)
    {
        if (bytes.StartsWith(Begin))
        {
            throw new InvalidInputException(
                FaultKinds.NotFound,
                path,
                "This is a Git LFS pointer, not the file itself: the repository was cloned without Git LFS. Run 'git lfs pull' in it, or fetch the model with 'headpatch model pull'.");
        }
    }
}
