using System.Globalization;
using System.Text;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// The alphabet in which a byte-level BPE vocabulary is written: one printable character for each of the 256 bytes (GPT-2's own; a space
/// is <c>Ġ</c>). Printable bytes stand for themselves, the other ones, in order, for the characters from U+0100 on.
/// </summary>
public static class ByteLevelAlphabet
{
    private static readonly char[] Characters = MakeCharacters();
    private static readonly Dictionary<char, byte> Bytes = Enumerable.Range(0, 256).ToDictionary(b => Characters[b], b => (byte)b);

    /// <summary>The 256 characters in the order of GPT-2's vocabulary: first the bytes that stand for themselves, then the others.</summary>
    public static IReadOnlyList<char> Letters { get; } = [.. Characters.Order()];

    /// <summary>Spells a text in this alphabet, one character for each byte of its UTF-8 form.</summary>
    public static string Spell(string text) => string.Create(Encoding.UTF8.GetByteCount(text), text, (letters, spelled) =>
    {
        Span<byte> bytes = letters.Length <= 256 ? stackalloc byte[letters.Length] : new byte[letters.Length];
        Encoding.UTF8.GetBytes(spelled, bytes);
        for (int at = 0; at < bytes.Length; at++)
        {
            letters[at] = Characters[bytes[at]];
        }
    });

    /// <summary>The character that stands for a byte.</summary>
    public static char Character(byte b) => Characters[b];

    /// <summary>
    /// What a token of the vocabulary reads like: its UTF-8 decoded. Bytes that are not whole characters and control characters are
    /// escaped (<c>\xE6</c>, <c>\n</c>), so that the text is on one line and safe on a terminal.
    /// </summary>
    public static string Readable(string token) =>
        // Added tokens may be plain text outside the alphabet; they are shown as they are.
        Readable(token.All(Bytes.ContainsKey) ? [.. token.Select(c => Bytes[c])] : Encoding.UTF8.GetBytes(token));

    /// <summary>What bytes read like as UTF-8, escaped in the same way.</summary>
    internal static string Readable(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        for (int at = 0; at < bytes.Length;)
        {
            bool whole = Rune.DecodeFromUtf8(bytes[at..], out Rune rune, out int length) == System.Buffers.OperationStatus.Done;
            if (whole && IsReadable(rune))
            {
                text.Append(rune.ToString());
            }
            else if (whole && rune.Value is '\n' or '\r' or '\t')
            {
                text.Append(rune.Value switch { '\n' => @"\n", '\r' => @"\r", _ => @"\t" });
            }
            else
            {
                foreach (byte b in bytes.Slice(at, length))
                {
                    text.Append(CultureInfo.InvariantCulture, $"\\x{b:X2}");
                }
            }

            at += length;
        }

        return text.ToString();
    }

    private static bool IsReadable(Rune rune) => Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);

    private static char[] MakeCharacters()
    {
        var characters = new char[256];
        char next = '\u0100';
        for (int b = 0; b < 256; b++)
        {
            bool printable = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            characters[b] = printable ? (char)b : next++;
        }

        return characters;
    }
}
