namespace HeadPatching.Sweeps.Storage;

/// <summary>
/// The rules for artifact names. A name is one or more segments with a slash between them. A segment has 1 to 100 of the characters
/// <c>a-z 0-9 . _ -</c>; it starts with a letter, digit or underscore and does not end with a dot. A name has at most 400 characters.
/// So no name can leave the store's folder, hide in it, or mean two things on a file system that ignores case.
/// </summary>
public static class ArtifactName
{
    private const int LongestName = 400;
    private const int LongestSegment = 100;

    /// <summary>Whether this is a name that an artifact can have.</summary>
    public static bool IsValid(string? name) =>
        name is { Length: > 0 and <= LongestName } && Array.TrueForAll(name.Split('/'), IsValidSegment);

    /// <summary>Whether this can be one segment of a name: what to ask of a sweep id that came from outside.</summary>
    public static bool IsValidSegment(string? segment) =>
        segment is { Length: > 0 and <= LongestSegment }
        && segment[0] is not ('.' or '-')
        && segment[^1] != '.'
        && segment.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '.' or '_' or '-');

    /// <summary>Returns the name as it is.</summary>
    /// <exception cref="ArgumentException">It breaks the rules.</exception>
    public static string Checked(string name) =>
        IsValid(name) ? name : throw new ArgumentException($"'{name}' cannot be the name of an artifact.", nameof(name));

    /// <summary>Returns the folder with a last slash, or the empty string for the whole store.</summary>
    /// <exception cref="ArgumentException">It breaks the rules.</exception>
    public static string CheckedPrefix(string prefix)
    {
        var folder = prefix.EndsWith('/') ? prefix[..^1] : prefix;
        if (prefix.Length == 0)
            return "";
        return IsValid(folder)
            ? folder + "/"
            : throw new ArgumentException($"'{prefix}' cannot be a folder of artifacts.", nameof(prefix));
    }

    /// <summary>Returns the folder with a last slash; the whole store is refused.</summary>
    /// <exception cref="ArgumentException">It breaks the rules, or is empty.</exception>
    public static string CheckedFolder(string prefix) =>
        prefix.Length > 0
            ? CheckedPrefix(prefix)
            : throw new ArgumentException("A folder of artifacts is needed, not the whole store.", nameof(prefix));
}
