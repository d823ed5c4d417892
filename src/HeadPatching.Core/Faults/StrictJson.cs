using System.Text.Json;
using System.Text.Unicode;

namespace HeadPatching.Core.Faults;

/// <summary>
/// Reads JSON that others wrote: one object, no comments, no trailing commas, no property twice. Whatever is wrong with it becomes a
/// fault that says where.
/// </summary>
internal static class StrictJson
{
    /// <summary>The most bytes of a file that is read whole: ten times the largest tokenizer there is.</summary>
    public const long LongestFile = 256L << 20;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <summary>Reads a JSON file; faults name <c>path:line</c>.</summary>
    /// <exception cref="InvalidInputException">The file cannot be read or is not a JSON object.</exception>
    public static T ReadFile<T>(string path, Func<JsonElement, T> read)
    {
        byte[] bytes;
        try
        {
            CheckLength(path);
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, path, $"The file cannot be read: {e.Message}");
        }

        GitLfs.RefusePointer(bytes, path);
        ReadOnlyMemory<byte> text = bytes;
        if (text.Span.StartsWith("\uFEFF"u8))
        {
            text = text[3..];
        }

        return Read(text, line => line is null ? path : $"{path}:{line}", "The file", read);
    }

    /// <summary>Refuses a file that is too long to be read whole.</summary>
    /// <param name="path">The file, or a link to it, whose own length says nothing.</param>
    /// <exception cref="InvalidInputException">It is too long.</exception>
    /// <exception cref="IOException">It is not there, or links go round in a circle.</exception>
    public static void CheckLength(string path)
    {
        if ((File.ResolveLinkTarget(path, returnFinalTarget: true) ?? new FileInfo(path)) is FileInfo { Exists: true, Length: > LongestFile } file)
        {
            throw new InvalidInputException(FaultKinds.TooLarge, path, $"The file has {file.Length} bytes, which is more than {LongestFile}; it cannot be what its name says.");
        }
    }

    /// <summary>Reads JSON in memory.</summary>
    /// <param name="utf8">The JSON text.</param>
    /// <param name="where">Where a fault is, given the line (from 1) where that is known.</param>
    /// <param name="what">What the text is, as a sentence begins: "The file", "The header".</param>
    /// <param name="read">Makes the result of the root object, while the document lives.</param>
    /// <exception cref="InvalidInputException">The text is not a JSON object.</exception>
    public static T Read<T>(ReadOnlyMemory<byte> utf8, Func<long?, string> where, string what, Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(utf8, Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new InvalidInputException(FaultKinds.Malformed, where(1), $"{what} is not a JSON object.");
            }

            return read(document.RootElement);
        }
        catch (JsonException e)
        {
            // Without a line the message is the only clue: it names the property that stands there twice.
            var detail = e.LineNumber is null
                ? e.Message
                : $"unexpected text at byte {e.BytePositionInLine + 1} of line {e.LineNumber + 1}.";
            throw new InvalidInputException(FaultKinds.Malformed, where(e.LineNumber + 1), $"{what} is not valid JSON: {detail}");
        }
        catch (InvalidOperationException) when (!IsText(utf8.Span))
        {
            throw new InvalidInputException(FaultKinds.Malformed, where(null), $"{what} is not valid JSON: a string in it is not Unicode text.");
        }
    }

    /// <summary>
    /// Whether every string is Unicode text: no broken UTF-8, and no half of a surrogate pair, which an escape can stand for. System.Text.Json
    /// finds that only when the string is asked for, and then throws what it also throws for a mistake in the program; this tells the two apart.
    /// </summary>
    /// <param name="utf8">Valid JSON, but for that.</param>
    public static bool IsText(ReadOnlySpan<byte> utf8)
    {
        if (!Utf8.IsValid(utf8))
        {
            return false;
        }

        var reader = new Utf8JsonReader(utf8);
        while (reader.Read())
        {
            if (reader.ValueIsEscaped && reader.TokenType is JsonTokenType.PropertyName or JsonTokenType.String && !CanBeRead(ref reader))
            {
                return false;
            }
        }

        return true;
    }

    private static bool CanBeRead(ref Utf8JsonReader reader)
    {
        try
        {
            _ = reader.GetString();
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }
}
