using System.Globalization;
using System.Text;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.PairsFiles;

/// <summary>
/// A pairs file's text, of which no more is held in memory than a line, or a document, may have: what comes from outside may be one line of
/// gigabytes.
/// </summary>
/// <param name="reader">The text.</param>
/// <param name="path">The file, for faults.</param>
internal sealed class BoundedText(TextReader reader, string path)
{
    /// <summary>The most characters that a line may have; a megabyte of token ids is far below.</summary>
    public const int LongestLine = 64 << 20;

    /// <summary>The most characters of a file that is read as one document.</summary>
    public const int LongestDocument = 256 << 20;

    private readonly char[] _buffer = new char[1 << 16];
    private int _start, _end;

    /// <summary>The reader itself, for a format that has a bound of its own.</summary>
    public TextReader Unbounded => reader;

    /// <summary>The next line, without its end (\n, \r or both); null after the last.</summary>
    /// <param name="number">Its number, from 1.</param>
    /// <exception cref="InvalidInputException">It is too long.</exception>
    public string? ReadLine(int number)
    {
        StringBuilder? begun = null;
        while (_start < _end || Fill())
        {
            ReadOnlySpan<char> rest = _buffer.AsSpan(_start.._end);
            int length = rest.IndexOfAny('\r', '\n');
            ReadOnlySpan<char> part = length < 0 ? rest : rest[..length];
            if ((begun?.Length ?? 0) + part.Length > LongestLine)
            {
                throw TooLong($"{path}:{number}", "The line", LongestLine, "One pair stands on a line: is this a pairs file?");
            }

            _start += part.Length;
            if (length < 0)
            {
                begun = (begun ?? new StringBuilder()).Append(part);
                continue;
            }

            string line = begun is null ? part.ToString() : begun.Append(part).ToString();
            bool mayHaveTwo = _buffer[_start++] == '\r';
            if (mayHaveTwo && (_start < _end || Fill()) && _buffer[_start] == '\n')
            {
                _start++;
            }

            return line;
        }

        return begun?.ToString();
    }

    /// <summary>The whole text.</summary>
    /// <exception cref="InvalidInputException">It is too long.</exception>
    public string ReadDocument()
    {
        var text = new StringBuilder();
        while (Fill())
        {
            if (text.Length + _end > LongestDocument)
            {
                throw TooLong(path, "The file", LongestDocument, "Write the pairs as JSON Lines (.jsonl), which is read line by line.");
            }

            text.Append(_buffer, 0, _end);
        }

        return text.ToString();
    }

    private static InvalidInputException TooLong(string where, string what, int most, string advice) => new(
        FaultKinds.TooLarge, where, string.Create(CultureInfo.InvariantCulture, $"{what} has more than {most >> 20} Mi characters. {advice}"));

    private bool Fill()
    {
        _start = 0;
        _end = reader.ReadBlock(_buffer);
        return _end > 0;
    }
}
