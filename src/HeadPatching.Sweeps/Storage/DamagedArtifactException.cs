using System.Text.Json;

namespace HeadPatching.Sweeps.Storage;

/// <summary>An artifact is there and is not what it should be. Reading it again would not help; the message names it.</summary>
public sealed class DamagedArtifactException : Exception
{
    /// <summary>Makes the exception.</summary>
    /// <param name="name">The artifact.</param>
    /// <param name="reason">What is wrong with it, as the rest of a sentence: "it is empty".</param>
    /// <param name="inner">What reading it threw, where it did.</param>
    public DamagedArtifactException(string name, string reason, Exception? inner = null)
        : base($"The artifact {name} cannot be read: {reason}.", inner)
    {
        Name = name;
    }

    /// <summary>The artifact.</summary>
    public string Name { get; }

    /// <summary>Of what reading JSON threw.</summary>
    internal static DamagedArtifactException Of(string name, Exception exception) => new(
        name,
        exception is JsonException { Path: string path, LineNumber: long line, BytePositionInLine: long place }
            ? FormattableString.Invariant($"it is cut short or not of this version's form, at {path} (line {line + 1}, byte {place + 1})")
            : "it is cut short or not of this version's form",
        exception);
}
